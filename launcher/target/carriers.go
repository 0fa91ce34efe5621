package target

// This file has the table of carriers, the programs that start another program. A row gives the position of the
// command in the carrier's arguments, and the carrier's effect on the environment. carrier.go has the parser.

// carrier is a row of the table.
type carrier struct {
	names string // base names, separated by blanks
	flags string // syntax of the flags: see the method "flag"
	sub   string // subcommands that start a program, with flags before and after them
	after string // words that precede the command (find -exec)
	words int    // number of operands before the command
	env   fate   // effect of the carrier on the environment, unless a flag changes it
	tool  string // for valgrind: the tool that it uses if no flag names one
	who   string // for messages: who starts the program (rows with the fate "elsewhere"), or where the commands are written (rows with the trait "config")
	is    trait
}

// fate is the effect of a carrier on the environment.
type fate uint8

const (
	kept      fate = iota
	cleared        // at most a few variables are kept
	elsewhere      // another process starts the program, with its own environment
	bySudoers      // sudoers(5) decides
	byDoas         // doas.conf(5) decides
)

// trait is a set of further properties of a carrier.
type trait uint16

const (
	stays    trait = 1 << iota // the carrier remains as the parent of the program
	assigns                    // NAME=VALUE words precede the command
	permutes                   // flags may follow operands, and the operands are not a command
	anyLong                    // accepts every long flag; the value follows "="
	userWord                   // the first operand is a user
	shell                      // the first operand is shell text if -c is given, else a script file
	joins                      // the operands, joined by blanks, are shell text (ssh)
	folder                     // the operand is a directory whose file "run" is the command
	newRoot                    // the first operand is the root directory of the program
	hidden                     // the program has an unknown root directory
	stringC                    // accepts "-c TEXT" instead of the command
	envdir                     // the first operand is a directory of variables
	caps                       // sets a cap of its own (arenacap)
	config                     // reads the commands from its configuration
	ofImage                    // the first operand is an image, which has its own command
)

// Several programs share these flags.
const (
	namespaces = " u i n U C T uts? ipc? net? user? cgroup? time?"
	shellFlags = "c>shell a b e f h i k l m n p r s>stop t u v x B C E H P T V I q o= O= login posix norc noprofile rcfile= init-file="
	container  = " d,detach i,interactive t,tty rm init privileged P,publish-all read-only no-healthcheck sig-proxy? q,quiet tls-verify? env-host>keep" +
		" e,env=>pass env-file= name= h,hostname= v,volume= mount= p,publish= net= network= u,user=>user w,workdir= l,label= m,memory= c,cpu-shares= cpus= cpuset-cpus=" +
		" memory-swap= shm-size= ulimit= restart= entrypoint= cap-add= cap-drop= security-opt= device= dns= add-host= tmpfs= log-driver= log-opt= pull= platform= runtime=" +
		" cgroup-parent= pid= ipc= userns= uts= stop-signal= stop-timeout= pids-limit= gpus= expose= link= volumes-from= sysctl= pod= a,attach= detach-keys= env-merge= annotation=" +
		" context= H,host= D,debug n,namespace= address= connection= root= runroot= log-level="
)

// Source of most flags: the man pages of the packages of Debian 12, such as coreutils 9.1 and util-linux 2.38. If a
// flag is not listed, the command cannot be found and the verdict is unknown. The table is static data, so it costs no
// time at start.
var carriers = [...]carrier{
	{names: "env", flags: "i,ignore-environment,->clear u,unset=>unset C,chdir= S,split-string=>split v,debug block-signal? default-signal? ignore-signal? list-signal-handling", is: assigns},
	{names: "nice", flags: "n,adjustment= #"},
	{names: "ionice", flags: "c,class= n,classdata= t,ignore p,pid=>stop P,pgid=>stop u,uid=>stop"},
	{names: "chrt", flags: "b,batch d,deadline f,fifo i,idle o,other r,rr R,reset-on-fork T,sched-runtime= P,sched-period= D,sched-deadline= v,verbose a,all-tasks m,max>stop p,pid>stop", words: 1},
	{names: "taskset", flags: "a,all-tasks c,cpu-list p,pid>stop", words: 1},
	{names: "numactl", flags: "a,all i,interleave= p,preferred= m,membind= N,cpunodebind= C,physcpubind= l,localalloc b,balancing P,preferred-many= touch H,hardware>stop s,show>stop"},
	{names: "timeout", flags: "foreground preserve-status k,kill-after= s,signal= v,verbose", words: 1, is: stays},
	{names: "stdbuf", flags: "i,input= o,output= e,error="},
	{names: "setsid", flags: "c,ctty f,fork w,wait"},
	{names: "nohup"},
	{names: "prlimit", flags: "p,pid=>stop c,core? d,data? e,nice? f,fsize? i,sigpending? l,memlock? m,rss? n,nofile? q,msgqueue? r,rtprio? s,stack? t,cpu? u,nproc? v,as? x,locks? y,rttime? noheadings raw verbose o,output="},
	{names: "choom", flags: "n,adjust= p,pid=>stop"},
	{names: "setarch", flags: "3 B F I L R S T X Z v 32bit fdpic-funcptrs short-inode addr-compat-layout addr-no-randomize whole-seconds sticky-timeouts read-implies-exec mmap-page-zero 3gb uname-2.6 verbose"},
	{names: "linux32 linux64 i386 i686 x86_64 aarch64", flags: "3 B F I L R S T X Z v addr-no-randomize 3gb verbose"},
	{names: "setpriv", flags: "clear-groups groups= init-groups keep-groups inh-caps= ambient-caps= bounding-set= no-new-privs nnp reuid=>user euid= ruid= rgid= egid= regid= securebits= pdeathsig= ptracer= selinux-label= apparmor-profile= reset-env>clear list-caps>stop d,dump>stop"},
	{names: "unshare", flags: namespaces + " m p mount? pid? f,fork>stays mount-proc? map-user= map-group= map-users= map-groups= map-auto r,map-root-user c,map-current-user propagation= setgroups= keep-caps kill-child?>stays R,root=>root w,wd= S,setuid= G,setgid= monotonic= boottime="},
	{names: "nsenter", flags: namespaces + " m,mount?>hidden p,pid?>stays a,all>all t,target=>target G,setgid= S,setuid= r,root?>inside w,wd? W,wdns= e,env>clear F,no-fork>execs Z,follow-context preserve-credentials"},
	{names: "chroot", flags: "groups= userspec=>user skip-chdir", words: 1, is: newRoot},
	{names: "cgexec", flags: "g= sticky"},
	{names: "authbind", flags: "deep depth="},

	{names: "sudo", flags: "u,user=>user E>keep preserve-env?>list i,login s,shell A,askpass b,background B,bell C,close-from= D,chdir= g,group= H,set-home h,host= n,non-interactive" +
		" P,preserve-groups p,prompt= R,chroot=>root r,role= S,stdin T,command-timeout= t,type= k,reset-timestamp e,edit>stop l,list>stop v,validate>stop V,version>stop K,remove-timestamp>stop", env: bySudoers, is: stays | assigns},
	{names: "doas", flags: "u=>user n s>stop L>stop C=>stop", env: byDoas, is: stays},
	{names: "su", flags: "c,command=>text session-command=>text l,login,->clear m,p,preserve-environment s,shell=>with w,whitelist-environment=>list f,fast P,pty T,no-pty g,group= G,supp-group=", is: stays | permutes | userWord},
	{names: "runuser", flags: "u,user=>operands c,command=>text session-command=>text l,login,->clear m,p,preserve-environment s,shell=>with w,whitelist-environment=>list f,fast P,pty T,no-pty g,group= G,supp-group=", is: stays | permutes | userWord},
	{names: "gosu su-exec", words: 1, is: userWord},
	{names: "setuidgid s6-setuidgid", words: 1, is: userWord},
	{names: "chpst", flags: "u=>user U= b= e=>envdir /=>root C= n= l= L= m= d= o= p= f= c= r= t= v V>stop P 0 1 2 N"},
	{names: "softlimit", flags: "a= c= d= f= h= l= m= o= p= r= s= t="},
	{names: "envdir", words: 1, is: envdir},
	{names: "s6-envdir", flags: "I i n f L c=", words: 1, is: envdir},
	{names: "s6-softlimit", flags: "H h a= c= d= f= l= m= o= p= r= s= t= R= x="},
	{names: "s6-envuidgid", flags: "u g n i D= B", words: 1},
	{names: "s6-applyuidgid", flags: "z u= g= G= U"},
	{names: "s6-setsid", flags: "s b f g d= i I q"},
	{names: "s6-notifyoncheck", flags: "d 3= s= T= t= w= n= c="},
	{names: "runsv supervise s6-supervise", is: stays | folder},
	{names: "runsvdir svscan s6-svscan", who: "the service folders", is: stays | config},
	{names: "supervisord", who: "its configuration", is: stays | config},

	{names: "tini tini-static docker-init", flags: "s w v g e= p=", is: stays},
	{names: "dumb-init", flags: "c,single-child r,rewrite= v,verbose", is: stays},
	{names: "catatonit", flags: "g P>stop", is: stays},

	{names: "bwrap", flags: "clearenv>clear setenv==>set unsetenv=>unset unshare-all share-net unshare-user unshare-user-try unshare-ipc unshare-pid unshare-net unshare-uts unshare-cgroup unshare-cgroup-try" +
		" userns= userns2= disable-userns assert-userns-disabled pidns= uid= gid= hostname= chdir= lock-file= sync-fd= bind==>bind bind-try==>bind dev-bind==>bind dev-bind-try==>bind ro-bind==>bind ro-bind-try==>bind remount-ro= exec-label= file-label=" +
		" proc= dev= tmpfs= mqueue= dir= file== bind-data== ro-bind-data== symlink== seccomp= add-seccomp-fd= block-fd= userns-block-fd= info-fd= json-status-fd= new-session die-with-parent as-pid-1 cap-add= cap-drop= perms= size= chmod==", is: stays},
	{names: "firejail", flags: "env=>set rmenv=>unset chroot=>root join=>stop list>stop c", is: stays | anyLong},
	{names: "docker podman nerdctl", flags: container, sub: "run exec", words: 1, env: elsewhere, who: "the container engine", is: hidden | ofImage},
	{names: "systemd-run", flags: "scope>keep E,setenv=>pass p,property= u,unit= d,same-dir working-directory= slice= slice-inherit r,remain-after-exit no-block wait P,pipe t,pty S,shell>stop q,quiet G,collect" +
		" uid=>user gid= nice= description= service-type= user system M,machine=>hidden H,host=>hidden send-sighup no-ask-password on-active= on-boot= on-calendar= timer-property= expand-environment?", env: elsewhere, who: "the service manager"},
	{names: "start-stop-daemon", flags: "S,start K,stop>stop T,status>stop n,name= s,signal= x,exec=>program a,startas=>program p,pidfile= u,user= g,group= c,chuid=>user r,chroot=>root d,chdir= N,nicelevel= P,procsched= I,iosched=" +
		" k,umask= b,background C,no-close O,output= m,make-pidfile o,oknodo q,quiet v,verbose t,test>stop R,retry= pid= ppid= remove-pidfile notify-await notify-timeout="},
	{names: "pm2", flags: "n,name= i,instances= f,force no-daemon", sub: "start", env: elsewhere, who: "pm2's daemon"},

	{names: "sh bash dash ash ksh ksh93 mksh zsh", flags: shellFlags, is: shell},
	{names: "busybox"},
	{names: "xargs", flags: "0,null a,arg-file= d,delimiter= E= e? I= i? L= l? n,max-args= P,max-procs= p,interactive r,no-run-if-empty s,max-chars= t,verbose x,exit o,open-tty max-lines? replace? eof? process-slot-var= show-limits", is: stays},
	{names: "find", after: "-exec -execdir -ok -okdir", is: stays},
	{names: "strace", flags: "E,env=>assign a= b= e= I= o= O= p=>stop P= s= S= u,user=>user U= X= c C d D>execs f F h>stop i k n N q r t T v w x y Y z Z A follow-forks output-separately", is: stays | anyLong},
	{names: "ltrace", flags: "a= A= D= e= F= l= n= o= p=>stop s= u=>user w= x= X= b c C f i L r S t T", is: stays},
	{names: "gdb", after: "--args -args", is: stays},
	{names: "valgrind", flags: "v q d tool=>tool trace-children=>traces", tool: "memcheck", is: anyLong},
	{names: "perf", flags: "e,event= o,output= F,freq= c,count= C,cpu= r,repeat= p,pid=>stop t,tid=>stop a,all-cpus g d,detailed v,verbose q,quiet s,stat i,no-inherit x,field-separator= I,interval-print= call-graph=", sub: "record stat trace", is: stays},
	{names: "time", flags: "f,format= o,output= a,append v,verbose p,portability q,quiet", is: stays},
	{names: "script", flags: "c,command=>text a,append e,return f,flush force E,echo= I,log-in= O,log-out= B,log-io= T,log-timing= m,logging-format= o,output-limit= q,quiet t,timing?", is: stays | permutes},
	{names: "flock", flags: "s,shared x,e,exclusive n,nb,nonblock w,wait,timeout= E,conflict-exit-code= o,close F,no-fork>execs verbose u,unlock>stop", words: 1, is: stays | stringC},
	{names: "ssh", flags: "1 2 4 6 A a C f G g K k M N>stop n q s T t V>stop v X x Y y B= b= c= D= E= e= F= I= i= J= L= l=>user m= O= o= p= Q=>stop R= S= W=>stop", words: 1, env: elsewhere, who: "the other machine", is: joins | hidden},
	{names: "arenacap", flags: "policy= service= q verbose arenas= cores= budget= argv0= supervise>stays kill-group wait-orphans parent-death-signal= reraise summary dry-run>stop", sub: "run", is: caps},
}
