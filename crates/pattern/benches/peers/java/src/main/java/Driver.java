import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import software.amazon.event.ruler.Machine;

/** The Java engine's line in the table of peers: FOLDER FILE COUNT; prints matches and microseconds an event. */
public final class Driver {
    public static void main(String[] arguments) throws Exception {
        Path folder = Path.of(arguments[0]);
        int count = Integer.parseInt(arguments[2]);
        List<String> events = Files.readAllLines(folder.resolve("events.jsonl"));
        List<String> rules = Files.readAllLines(folder.resolve(arguments[1])).subList(0, count);
        Machine machine = new Machine();
        for (int i = 0; i < rules.size(); i++) {
            machine.addRule("r" + i, rules.get(i));
        }
        var threads = ManagementFactory.getThreadMXBean();
        long best = Long.MAX_VALUE;
        long matches = 0;
        for (int round = 0; round < 9; round++) {
            long start = threads.getCurrentThreadCpuTime();
            matches = 0;
            for (String event : events) {
                matches += machine.rulesForJSONEvent(event).size();
            }
            best = Math.min(best, threads.getCurrentThreadCpuTime() - start);
        }
        System.out.printf("%d %.2f%n", matches, best / 1e3 / events.size());
    }
}
