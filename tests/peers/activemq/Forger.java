// Sends a request to beamq with a property that harms the frame that the broker makes of it:
// Forger ADDRESS USER injects: its name ends the headers, so that what follows is taken for another frame;
// Forger ADDRESS USER overstates: it gives a length to which the message never comes.

import javax.jms.Connection;
import javax.jms.Session;
import javax.jms.TextMessage;

import org.apache.activemq.ActiveMQConnectionFactory;

class Forger {
    public static void main(String[] arguments) throws Exception {
        String password = System.getenv("BROKER_PASSWORD");
        Connection connection =
            new ActiveMQConnectionFactory(arguments[1], password, arguments[0]).createConnection();
        connection.start();
        Session session = connection.createSession(false, Session.AUTO_ACKNOWLEDGE);
        TextMessage message = session.createTextMessage("{}");
        message.setJMSReplyTo(session.createTemporaryQueue());
        if (arguments[2].equals("injects")) {
            message.setStringProperty("x:1\n\n{}\u0000\nRUBBISH\nand", "more");
        } else {
            message.setStringProperty("content-length", "50000000");
        }
        session.createProducer(session.createQueue("ss_admin")).send(message);
        System.out.println("sent");
        // The temporary queue is to exist for as long as the test lasts.
        System.in.read();
        connection.close();
    }
}
