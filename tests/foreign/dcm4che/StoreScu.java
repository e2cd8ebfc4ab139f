// C-STORE by dcm4che's network library, over one association; each file as the bytes that it is.
// StoreScu HOST PORT AE-TITLE MODE FILES…; MODE: plain, identity, async, tls:TRUSTSTORE:KEYSTORE (PKCS #12, password "secret")

import java.io.File;
import java.io.FileInputStream;
import java.io.IOException;
import java.util.Arrays;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import org.dcm4che3.data.Attributes;
import org.dcm4che3.data.Tag;
import org.dcm4che3.io.DicomInputStream;
import org.dcm4che3.net.ApplicationEntity;
import org.dcm4che3.net.Association;
import org.dcm4che3.net.Connection;
import org.dcm4che3.net.Device;
import org.dcm4che3.net.DimseRSPHandler;
import org.dcm4che3.net.InputStreamDataWriter;
import org.dcm4che3.net.SSLManagerFactory;
import org.dcm4che3.net.pdu.AAssociateRQ;
import org.dcm4che3.net.pdu.UserIdentityRQ;

public class StoreScu {
    private static final String PASSWORD = "secret";

    public static void main(String[] arguments) throws Exception {
        String[] mode = arguments[3].split(":");
        String[] files = Arrays.copyOfRange(arguments, 4, arguments.length);
        Device device = new Device("storescu");
        Connection local = new Connection();
        Connection remote = new Connection("remote", arguments[0], Integer.parseInt(arguments[1]));
        ApplicationEntity entity = new ApplicationEntity(arguments[2]);
        device.addConnection(local);
        device.addApplicationEntity(entity);
        entity.addConnection(local);
        ExecutorService threads = Executors.newCachedThreadPool();
        ScheduledExecutorService clock = Executors.newSingleThreadScheduledExecutor();
        device.setExecutor(threads);
        device.setScheduledExecutor(clock);
        AAssociateRQ request = new AAssociateRQ();
        request.setCalledAET("ChRIS");
        prepare(mode, device, local, remote, request);
        for (String file : files) {
            Attributes meta = metaOf(file);
            request.addPresentationContextFor(
                    meta.getString(Tag.MediaStorageSOPClassUID), meta.getString(Tag.TransferSyntaxUID));
        }
        try {
            Association association = entity.connect(local, remote, request);
            for (String file : files) {
                store(association, file);
            }
            association.waitForOutstandingRSP();
            association.release();
            association.waitForSocketClose();
        } finally {
            threads.shutdown();
            clock.shutdown();
        }
    }

    private static void prepare(String[] mode, Device device, Connection local, Connection remote, AAssociateRQ request)
            throws Exception {
        if (mode[0].equals("identity")) {
            request.setUserIdentityRQ(new UserIdentityRQ("user", PASSWORD.toCharArray()));
        } else if (mode[0].equals("async")) {
            local.setMaxOpsInvoked(8);
            request.setMaxOpsInvoked(8);
        } else if (mode[0].equals("tls")) {
            for (Connection connection : new Connection[] {local, remote}) {
                connection.setTlsProtocols("TLSv1.2");
                connection.setTlsCipherSuites("TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384");
            }
            device.setTrustManager(SSLManagerFactory.createTrustManager("PKCS12", "file:" + mode[1], PASSWORD));
            device.setKeyManager(SSLManagerFactory.createKeyManager("PKCS12", "file:" + mode[2], PASSWORD, PASSWORD));
        }
    }

    private static Attributes metaOf(String file) throws IOException {
        try (DicomInputStream input = new DicomInputStream(new File(file))) {
            return input.readFileMetaInformation();
        }
    }

    private static void store(Association association, String file) throws Exception {
        // Past the file meta the library's own stream would inflate a deflated dataset.
        try (DicomInputStream head = new DicomInputStream(new File(file));
                FileInputStream input = new FileInputStream(file)) {
            Attributes meta = head.readFileMetaInformation();
            input.skipNBytes(head.getPosition());
            association.cstore(
                    meta.getString(Tag.MediaStorageSOPClassUID),
                    meta.getString(Tag.MediaStorageSOPInstanceUID),
                    0,
                    new InputStreamDataWriter(input),
                    meta.getString(Tag.TransferSyntaxUID),
                    handler(association, file));
        } catch (Exception error) {
            System.out.println(file + ": " + error);
        }
    }

    private static DimseRSPHandler handler(Association association, String file) {
        return new DimseRSPHandler(association.nextMessageID()) {
            @Override
            public void onDimseRSP(Association one, Attributes command, Attributes data) {
                super.onDimseRSP(one, command, data);
                int status = command.getInt(Tag.Status, -1);
                if (status != 0) {
                    System.out.println(file + ": " + Integer.toHexString(status));
                }
            }
        };
    }
}
