// Logs in to beamq and then does what it is told on standard input, with the same session throughout:
// Survivor ADDRESS USER

import java.io.BufferedReader;
import java.io.InputStreamReader;

class Survivor {
    public static void main(String[] arguments) throws Exception {
        String password = System.getenv("BROKER_PASSWORD");
        BufferedReader orders = new BufferedReader(new InputStreamReader(System.in));
        try (BeamqClient client = new BeamqClient(arguments[0], arguments[1], password)) {
            client.login(System.getenv("BEAMQ_TOKEN"));
            System.out.println("in");
            while (orders.readLine().equals("submit")) {
                System.out.println("sending");
                client.call("job.submit", "{\"job\": {\"name\": \"survivor\", \"script\": \"pass\", \"held\": true}}");
                System.out.println("submitted");
            }
            client.call("server.status", "{}");
            System.out.println("done");
        }
    }
}
