# A threaded program whose memory fragments: fragment.rb THREADS ROUNDS
#
# Each thread creates strings of very different sizes and keeps a few of each round for long, as a web worker does with
# pages, rows and caches. The garbage collector frees the others one by one, scattered over all arenas.
threads, rounds = ARGV.map { |a| Integer(a) }
started = Process.clock_gettime(Process::CLOCK_MONOTONIC)
workers = Array.new(threads) do |n|
  Thread.new do
    random = Random.new(n)
    kept = []
    rounds.times do
      page = Array.new(200) { "x" * random.rand(200..30_000) }
      kept.concat(page.sample(4, random: random))
      kept.shift(4) if kept.size > 200
      Thread.pass
    end
    kept.size
  end
end
workers.each(&:value)
took = Process.clock_gettime(Process::CLOCK_MONOTONIC) - started
puts "pages: %.1f per second" % (threads * rounds / took)
