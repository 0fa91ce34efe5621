// Container (ENV COMMAND)…: runs each command in a YARN container of 384 MB, one after the other, and prints "container STATUS:"
// and the diagnostics. ENV is the application's own environment, NAME=VALUE, or "-". This program itself is the application
// master (an unmanaged one).

import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.security.UserGroupInformation;
import org.apache.hadoop.yarn.api.records.*;
import org.apache.hadoop.yarn.client.api.*;
import org.apache.hadoop.yarn.conf.YarnConfiguration;

public class Container {
    // YARN kills a container at once if its virtual size is over twice its limit: over 2 * 2.1 * SIZE = 1.6 GB. 2.1 is the
    // default of yarn.nodemanager.vmem-pmem-ratio. arenacap itself, a Go program, has 1.2 GB of virtual size until its exec.
    static final Resource SIZE = Resource.newInstance(384, 1);

    public static void main(String[] args) throws Exception {
        Thread.setDefaultUncaughtExceptionHandler((thread, e) -> {
            e.printStackTrace();
            System.exit(1); // the clients' threads would keep the JVM alive
        });
        Configuration conf = new YarnConfiguration();
        YarnClient yarn = YarnClient.createYarnClient();
        yarn.init(conf);
        yarn.start();
        ApplicationId id = submit(yarn);
        UserGroupInformation.getCurrentUser().addToken(token(yarn, id));
        AMRMClient<AMRMClient.ContainerRequest> master = AMRMClient.createAMRMClient();
        master.init(conf);
        master.start();
        master.registerApplicationMaster("127.0.0.1", 0, "");
        NMClient node = NMClient.createNMClient();
        node.init(conf);
        node.start();
        for (int i = 0; i < args.length; i += 2) {
            ContainerStatus ended = run(master, node, launch(args[i], args[i + 1]));
            System.out.println("container " + ended.getExitStatus() + ": " + ended.getDiagnostics().replace('\n', ' '));
        }
        master.unregisterApplicationMaster(FinalApplicationStatus.SUCCEEDED, "", "");
        System.exit(0);
    }

    static ApplicationId submit(YarnClient yarn) throws Exception {
        ApplicationSubmissionContext app = yarn.createApplication().getApplicationSubmissionContext();
        app.setAMContainerSpec(ContainerLaunchContext.newInstance(null, null, List.of(), null, null, null));
        app.setUnmanagedAM(true);
        app.setResource(SIZE);
        return yarn.submitApplication(app);
    }

    static org.apache.hadoop.security.token.Token<?> token(YarnClient yarn, ApplicationId id) throws Exception {
        for (;;) {
            var token = yarn.getAMRMToken(id);
            if (token != null) return token;
            TimeUnit.MILLISECONDS.sleep(50);
        }
    }

    static ContainerLaunchContext launch(String env, String command) {
        Map<String, String> own = env.equals("-") ? Map.of() : Map.of(env.split("=", 2)[0], env.split("=", 2)[1]);
        return ContainerLaunchContext.newInstance(Map.of(), own, List.of(command), Map.of(), null, Map.of());
    }

    static ContainerStatus run(AMRMClient<AMRMClient.ContainerRequest> master, NMClient node, ContainerLaunchContext launch) throws Exception {
        var request = new AMRMClient.ContainerRequest(SIZE, null, null, Priority.newInstance(0));
        master.addContainerRequest(request);
        for (;;) {
            var answer = master.allocate(0);
            for (var container : answer.getAllocatedContainers()) {
                master.removeContainerRequest(request);
                node.startContainer(container, launch);
            }
            for (var status : answer.getCompletedContainersStatuses()) return status;
            TimeUnit.MILLISECONDS.sleep(50);
        }
    }
}
