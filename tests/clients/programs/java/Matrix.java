import java.io.FileInputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyStore;
import java.security.cert.CertificateFactory;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Random;

/** What every Java client is asked to do, as `_operations.py` asks those of Python; a JSON line an operation. */
abstract class Matrix {
    /** The client has no such operation. */
    static final class Lacks extends Exception {
        Lacks(String why) {
            super(why);
        }
    }

    interface Check {
        void run() throws Exception;
    }

    static final String ENDPOINT = System.getenv("MATRIX_ENDPOINT");
    static final String BUCKET = System.getenv("MATRIX_BUCKET");
    static final String PREFIX = System.getenv("MATRIX_PREFIX");
    static final int LARGE = 20 * 1024 * 1024; // bytes
    static final int PAGE = 3; // keys a page of a list
    private static final String[] AWKWARD = {
        "with space + plus.txt", "ü/日本語 😀.txt", "percent %41 %2F %.txt", "quotes ' \" & < > #.txt", "a;b,c=d@e~f*(g)!$.txt",
    };

    private final byte[] large = new byte[LARGE];
    private final List<String> listed = new ArrayList<>();
    Path folder;

    abstract void open() throws Exception;

    abstract void put(String key, byte[] data) throws Exception;

    /** In parts, where the client does that. */
    abstract void putFile(String key, Path file) throws Exception;

    abstract byte[] get(String key) throws Exception;

    abstract byte[] range(String key, int first, int last) throws Exception;

    abstract List<String> list(String prefix) throws Exception;

    abstract void copy(String source, String target) throws Exception;

    abstract void delete(List<String> keys) throws Exception;

    /** What anybody reads who has a link to the key. */
    abstract byte[] fetchLink(String key) throws Exception;

    final void main() throws Exception {
        folder = Files.createTempDirectory("matrix-");
        new Random(LARGE).nextBytes(large);
        for (int number = 0; number < 7; number++) listed.add(PREFIX + "list/0" + number);
        trust();
        open();
        judge("write_empty", () -> roundTrip(PREFIX + "empty", new byte[0]));
        judge("write_byte", () -> roundTrip(PREFIX + "byte", "x".getBytes()));
        judge("write_large", () -> putFile(PREFIX + "large", Files.write(folder.resolve("large"), large)));
        judge("read_whole", () -> same(get(PREFIX + "large"), large));
        judge("read_range", this::readRange);
        judge("list_pages", this::listPages);
        judge("copy", () -> {
            copy(PREFIX + "byte", PREFIX + "copied");
            same(get(PREFIX + "copied"), "x".getBytes());
        });
        judge("awkward_keys", this::awkwardKeys);
        judge("presign", () -> same(fetchLink(PREFIX + "byte"), "x".getBytes()));
        judge("delete_many", () -> {
            delete(listed);
            expect(list(PREFIX + "list/"), List.of());
        });
        Files.delete(folder.resolve("large"));
        System.exit(0);
    }

    private void readRange() throws Exception {
        int[][] ranges = {{0, 0}, {1000000, 1000999}, {LARGE - 10, LARGE - 1}};
        for (int[] one : ranges)
            same(range(PREFIX + "large", one[0], one[1]), Arrays.copyOfRange(large, one[0], one[1] + 1));
    }

    private void listPages() throws Exception {
        for (String key : listed) put(key, "listed".getBytes());
        expect(list(PREFIX + "list/"), listed);
    }

    private void awkwardKeys() throws Exception {
        List<String> keys = new ArrayList<>();
        for (String name : AWKWARD) keys.add(PREFIX + "awkward/" + name);
        for (String key : keys) roundTrip(key, key.getBytes(StandardCharsets.UTF_8));
        expect(list(PREFIX + "awkward/"), keys);
    }

    private void roundTrip(String key, byte[] data) throws Exception {
        put(key, data);
        same(get(key), data);
    }

    private static void same(byte[] got, byte[] sent) {
        if (!Arrays.equals(got, sent)) throw new AssertionError(got.length + " bytes came back of " + sent.length);
    }

    private static void expect(List<String> found, List<String> wanted) {
        List<String> left = new ArrayList<>(found), right = new ArrayList<>(wanted);
        Collections.sort(left);
        Collections.sort(right);
        if (!left.equals(right)) throw new AssertionError("listed " + found);
    }

    private static void judge(String operation, Check check) {
        String passed = "true", note = "";
        try {
            check.run();
        } catch (Lacks why) {
            passed = "null";
            note = why.getMessage();
        } catch (Throwable problem) {
            passed = "false";
            note = problem.toString();
            if (System.getenv("MATRIX_TRACE") != null) problem.printStackTrace();
        }
        note = note.replaceAll("[\\s\"\\\\]+", " ");
        if (note.length() > 900) note = note.substring(0, 900);
        System.out.println("{\"operation\": \"" + operation + "\", \"passed\": " + passed + ", \"note\": \"" + note + "\"}");
    }

    /** Makes the gateway's authority Java's own: it reads no PEM file by itself. */
    private void trust() throws Exception {
        String authority = System.getenv("MATRIX_CA");
        if (authority == null) return;
        KeyStore store = KeyStore.getInstance("PKCS12");
        store.load(null, null);
        try (var pem = new FileInputStream(authority)) {
            store.setCertificateEntry("gateway", CertificateFactory.getInstance("X.509").generateCertificate(pem));
        }
        Path file = folder.resolve("trust.p12");
        try (var out = Files.newOutputStream(file)) {
            store.store(out, "matrix".toCharArray());
        }
        System.setProperty("javax.net.ssl.trustStore", file.toString());
        System.setProperty("javax.net.ssl.trustStorePassword", "matrix");
    }
}
