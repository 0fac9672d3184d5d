// Logs in to beamq, waits for a line on standard input, and goes on with the same session:
// Survivor ADDRESS USER

class Survivor {
    public static void main(String[] arguments) throws Exception {
        String password = System.getenv("BROKER_PASSWORD");
        try (BeamqClient client = new BeamqClient(arguments[0], arguments[1], password)) {
            client.login(System.getenv("BEAMQ_TOKEN"));
            System.out.println("in");
            System.in.read();
            client.call("server.status", "{}");
            System.out.println("done");
        }
    }
}
