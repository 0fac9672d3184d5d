// A client in the manner of a GUI that was written for the JSON proxy of a NICOS daemon: plain JMS, the proxy
// dialect (docs/proxy.md), no correlation ids. Its first message is its login. It queues scripts, follows the
// events, pauses, goes on, stops, edits the queue, and ends cleanly.
//
// Compile and run it as it says in BeamqClient.java, with ProxyClient in its place.

import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

import javax.jms.Connection;
import javax.jms.JMSException;
import javax.jms.Message;
import javax.jms.MessageProducer;
import javax.jms.Session;
import javax.jms.TemporaryQueue;
import javax.jms.TextMessage;

import org.apache.activemq.ActiveMQConnectionFactory;

public class ProxyClient implements AutoCloseable {
    private final Connection connection;
    private final Session session;
    private final MessageProducer requests;
    private final TemporaryQueue mine;
    /** Replies come in the order of the requests, so they need no names. */
    private final BlockingQueue<String> replies = new LinkedBlockingQueue<>();
    private final BlockingQueue<String> events = new LinkedBlockingQueue<>();

    ProxyClient(String address, String user, String password) throws JMSException {
        connection = new ActiveMQConnectionFactory(user, password, address).createConnection();
        Session listening = connection.createSession(false, Session.AUTO_ACKNOWLEDGE);
        session = connection.createSession(false, Session.AUTO_ACKNOWLEDGE);
        requests = session.createProducer(session.createQueue("ss_admin"));
        mine = listening.createTemporaryQueue();
        listening.createConsumer(mine).setMessageListener(this::received);
        connection.start();
    }

    /** Replies and events share the temporary queue; events say so. */
    private void received(Message message) {
        try {
            String text = ((TextMessage) message).getText();
            (text.startsWith("{\"event\":") ? events : replies).add(text);
        } catch (JMSException broken) {
            System.err.println("a message cannot be read: " + broken);
        }
    }

    /** Sends a command, its arguments as JSON members, and gives the payload of the reply. */
    String command(String name, String... arguments) throws Exception {
        StringBuilder json = new StringBuilder("{\"command\": " + quoted(name));
        for (String argument : arguments) {
            json.append(", ").append(argument);
        }
        TextMessage request = session.createTextMessage(json.append('}').toString());
        request.setJMSReplyTo(mine);
        requests.send(request);
        String reply = replies.poll(30, TimeUnit.SECONDS);
        if (reply == null || !reply.contains("\"success\":true")) {
            throw new IllegalStateException(name + ": " + reply);
        }
        return reply;
    }

    /** Queues a script and gives its id. */
    String queue(String name, String code) throws Exception {
        return found(command("queue", member("name", name), member("code", code)), "\"payload\":\"([^\"]+)\"");
    }

    /** Waits for an event whose text has this in it, and gives the event. */
    String waitFor(String name, String part) throws Exception {
        while (true) {
            String event = events.poll(30, TimeUnit.SECONDS);
            if (event == null) {
                throw new IllegalStateException("no event " + name + " with " + part);
            }
            if (event.startsWith("{\"event\":" + quoted(name) + ",") && event.contains(part)) {
                System.out.println(name + " " + part);
                return event;
            }
        }
    }

    /** What `getstatus` says of the waiting scripts: their ids in order. */
    String waiting() throws Exception {
        Matcher ids = Pattern.compile("\"reqid\":\"([^\"]+)\"").matcher(command("getstatus"));
        StringBuilder order = new StringBuilder();
        while (ids.find()) {
            order.append(order.length() == 0 ? "" : " ").append(ids.group(1));
        }
        return order.toString();
    }

    @Override
    public void close() throws JMSException {
        connection.close();
    }

    static String member(String name, String text) {
        return quoted(name) + ": " + quoted(text);
    }

    /** Enough JSON for an example; a real client has a library for it. */
    static String quoted(String text) {
        StringBuilder json = new StringBuilder("\"");
        for (char c : text.toCharArray()) {
            if (c == '"' || c == '\\' || c < ' ') {
                json.append(String.format("\\u%04x", (int) c));
            } else {
                json.append(c);
            }
        }
        return json.append('"').toString();
    }

    static String found(String text, String pattern) {
        Matcher matcher = Pattern.compile(pattern).matcher(text);
        if (!matcher.find()) {
            throw new IllegalStateException("no " + pattern + " in " + text);
        }
        return matcher.group(1);
    }

    static void expect(String wanted, String found) {
        if (!wanted.equals(found)) {
            throw new IllegalStateException("expected " + wanted + ", and found " + found);
        }
    }

    public static void main(String[] arguments) throws Exception {
        // Secrets come from the environment: arguments can be read by everybody on the machine.
        String password = System.getenv("BROKER_PASSWORD");
        try (ProxyClient gui = new ProxyClient(arguments[0], arguments[1], password)) {
            String login = gui.command("authenticate", member("login", "ibex"),
                member("passwd", System.getenv("BEAMQ_TOKEN")), member("display", "Java example"));
            System.out.println("user level " + found(login, "\"user_level\":(\\d+)"));

            String slow = gui.queue("slow.py",
                "import time\nprint('begun')\nfor n in range(1000):\n    time.sleep(0.01)\n");
            gui.waitFor("processing", "\"reqid\":\"" + slow + "\"");
            gui.waitFor("message", "begun");

            // Code 1 is a break, 0 is running, -1 and -2 are idle.
            gui.command("break", "\"level\": 1");
            gui.waitFor("status", "[1,");
            String paused = gui.command("getstatus");
            expect("slow.py", found(paused, "\"scriptname\":\"([^\"]*)\""));
            expect("1", found(paused, "\"status\":\\[(-?\\d+)"));

            // The queue can be edited meanwhile.
            String first = gui.queue("first.py", "print('first')");
            String second = gui.queue("second.py", "print('second')");
            String third = gui.queue("third.py", "print('third')");
            expect(first + " " + second + " " + third, gui.waiting());
            gui.command("rearrange",
                "\"ids\": [" + quoted(third) + ", " + quoted(first) + ", " + quoted(second) + "]");
            gui.waitFor("rearranged", quoted(third) + "," + quoted(first));
            gui.command("unqueue", member("reqid", first));
            gui.waitFor("blocked", quoted(first));
            gui.command("update", member("newcode", "print('third, changed')"), member("reason", ""),
                member("reqid", third));
            gui.waitFor("updated", "third, changed");
            expect(third + " " + second, gui.waiting());

            gui.command("continue");
            gui.waitFor("status", "[0,");
            gui.command("stop", "\"level\": 2");
            gui.waitFor("done", "\"reqid\":\"" + slow + "\"");
            // A stop holds the queue, so that somebody can look; this lets it go on.
            expect(third + " " + second, gui.waiting());
            gui.command("continue");
            gui.waitFor("message", "third, changed");
            String done = gui.waitFor("done", "\"reqid\":\"" + second + "\"");
            expect("true", found(done, "\"success\":(\\w+)"));
            expect("", gui.waiting());

            // Nothing more is sent to a session that has ended.
            gui.command("quit");
            System.out.println("done");
        }
    }
}
