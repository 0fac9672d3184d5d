// A client of beamq in plain JMS, as a GUI would have it: it logs in, submits a script, follows what
// happens, pauses and resumes, edits the queue, and ends cleanly.
//
// Compile and run with Debian's packages (libactivemq-java brings the jars):
//   CP=/usr/share/java/activemq-client.jar:/usr/share/java/geronimo-jms_1.1_spec.jar
//   CP=$CP:/usr/share/java/geronimo-j2ee-management-1.1-spec.jar:/usr/share/java/hawtbuf.jar
//   CP=$CP:/usr/share/java/slf4j-api.jar:/usr/share/java/slf4j-nop.jar
//   javac -cp $CP -d /tmp/classes BeamqClient.java
//   BROKER_PASSWORD=… BEAMQ_TOKEN=… java -cp $CP:/tmp/classes BeamqClient tcp://127.0.0.1:61616 ss_client
//
// With failover:(tcp://127.0.0.1:61616) as the address it goes on by itself when the broker comes back.

import java.util.UUID;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

import javax.jms.Connection;
import javax.jms.JMSException;
import javax.jms.Message;
import javax.jms.MessageProducer;
import javax.jms.Queue;
import javax.jms.Session;
import javax.jms.TextMessage;

import org.apache.activemq.ActiveMQConnectionFactory;

public class BeamqClient implements AutoCloseable {
    private final Connection connection;
    private final Session session;
    private final MessageProducer requests;
    private final Queue replies;
    /** Replies by correlation id, for the caller that waits for each. */
    private final ConcurrentHashMap<String, BlockingQueue<String>> waiting = new ConcurrentHashMap<>();
    /** Events, oldest first. */
    private final BlockingQueue<String> events = new LinkedBlockingQueue<>();
    /** The session's key: whoever else may use the broker could forge our headers, but not this. */
    private String key;

    BeamqClient(String address, String user, String password) throws JMSException {
        connection = new ActiveMQConnectionFactory(user, password, address).createConnection();
        // One session listens and another one sends, because a JMS session belongs to one thread.
        Session listening = connection.createSession(false, Session.AUTO_ACKNOWLEDGE);
        session = connection.createSession(false, Session.AUTO_ACKNOWLEDGE);
        requests = session.createProducer(session.createQueue("ss_admin"));
        replies = listening.createTemporaryQueue();
        listening.createConsumer(replies).setMessageListener(this::received);
        connection.start();
    }

    /** A message with a correlation id is the reply to a request; the others are events. */
    private void received(Message message) {
        try {
            String text = ((TextMessage) message).getText();
            String correlation = message.getJMSCorrelationID();
            if (correlation == null) {
                events.add(text);
                return;
            }
            BlockingQueue<String> caller = waiting.get(correlation);
            if (caller != null) {
                caller.add(text);
            }
        } catch (JMSException broken) {
            System.err.println("a message cannot be read: " + broken);
        }
    }

    /** Calls a method of beamq and gives its reply. The parameters are JSON. */
    String call(String method, String parameters) throws Exception {
        String correlation = UUID.randomUUID().toString();
        BlockingQueue<String> reply = new LinkedBlockingQueue<>();
        waiting.put(correlation, reply);
        String proof = key == null ? "" : "\"key\": " + quoted(key) + ", ";
        TextMessage request = session.createTextMessage(
            "{\"jsonrpc\": \"2.0\", \"id\": 1, " + proof + "\"method\": " + quoted(method)
                + ", \"params\": " + parameters + "}");
        request.setJMSReplyTo(replies);
        request.setJMSCorrelationID(correlation);
        requests.send(request);
        String text = reply.poll(30, TimeUnit.SECONDS);
        waiting.remove(correlation);
        if (text == null) {
            throw new IllegalStateException(method + ": no reply");
        }
        if (text.contains("\"error\":{")) {
            throw new IllegalStateException(method + ": " + text);
        }
        return text;
    }

    void login(String token) throws Exception {
        String reply = call("session.login",
            "{\"token\": " + quoted(token) + ", \"client\": \"Java example\", \"bind\": true}");
        key = field(reply, "key");
    }

    String submit(String name, String script) throws Exception {
        return field(call("job.submit",
            "{\"job\": {\"name\": " + quoted(name) + ", \"script\": " + quoted(script) + "}}"), "id\":\"(\\d+)");
    }

    /** Waits until an event says that the job is in this state. */
    void waitFor(String id, String state) throws Exception {
        while (true) {
            String event = events.poll(30, TimeUnit.SECONDS);
            if (event == null) {
                throw new IllegalStateException("job " + id + " did not become " + state);
            }
            boolean ofJob = event.contains("\"event.job\"") && event.contains("\"id\":\"" + id + "\"");
            if (ofJob && event.contains("\"state\":\"" + state + "\"")) {
                System.out.println("job " + id + " " + state);
                return;
            }
        }
    }

    @Override
    public void close() throws JMSException {
        connection.close();
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

    static String field(String json, String name) {
        String pattern = name.contains("(") ? name : name + "\":\"([^\"]*)\"";
        Matcher found = Pattern.compile("\"" + pattern).matcher(json);
        return found.find() ? found.group(1) : null;
    }

    public static void main(String[] arguments) throws Exception {
        // Secrets come from the environment: arguments can be read by everybody on the machine.
        String password = System.getenv("BROKER_PASSWORD");
        try (BeamqClient client = new BeamqClient(arguments[0], arguments[1], password)) {
            client.login(System.getenv("BEAMQ_TOKEN"));
            client.call("events.subscribe", "{\"kinds\": [\"job\", \"queue\"]}");
            String slow = client.submit("slow", "import time\nfor n in range(1000):\n    time.sleep(0.01)\n");
            client.waitFor(slow, "running");
            client.call("run.pause", "{}");
            client.waitFor(slow, "paused");
            // The queue can be edited while something is active.
            String first = client.submit("first \uD83D\uDE00", "print('first')");
            String second = client.submit("second", "print('second')");
            client.call("queue.move", "{\"ids\": [" + quoted(second) + "], \"place\": \"front\"}");
            client.call("job.remove", "{\"ids\": [" + quoted(first) + "]}");
            client.call("run.resume", "{}");
            client.waitFor(slow, "running");
            client.call("run.abort", "{\"why\": \"the example is over\"}");
            client.waitFor(slow, "aborted");
            client.call("queue.release", "{}");
            client.waitFor(second, "succeeded");
            client.call("session.logout", "{}");
            System.out.println("done");
        }
    }
}
