import java.io.FileNotFoundException;
import java.net.URI;
import java.nio.file.Files;
import java.util.ArrayList;
import java.util.List;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.LocatedFileStatus;
import org.apache.hadoop.fs.Path;
import org.apache.hadoop.fs.RemoteIterator;

/** Hadoop's S3A, the file system by which Spark reads and writes. */
final class S3a extends Matrix {
    private FileSystem files;

    @Override
    void open() throws Exception {
        var settings = new Configuration();
        settings.set("fs.s3a.endpoint", ENDPOINT);
        settings.set("fs.s3a.endpoint.region", "us-east-1");
        settings.setBoolean("fs.s3a.path.style.access", true);
        settings.set("fs.s3a.aws.credentials.provider", "software.amazon.awssdk.auth.credentials.DefaultCredentialsProvider");
        settings.set("fs.s3a.multipart.size", "5M");
        settings.set("fs.s3a.multipart.threshold", "5M");
        settings.setInt("fs.s3a.paging.maximum", PAGE);
        settings.set("fs.s3a.buffer.dir", folder.toString());
        files = FileSystem.get(URI.create("s3a://" + BUCKET), settings);
    }

    private static Path path(String key) {
        return new Path("s3a://" + BUCKET + "/" + key);
    }

    @Override
    void put(String key, byte[] data) throws Exception {
        try (var out = files.create(path(key), true)) {
            out.write(data);
        }
    }

    @Override
    void putFile(String key, java.nio.file.Path file) throws Exception {
        try (var out = files.create(path(key), true)) {
            Files.copy(file, out);
        }
    }

    @Override
    byte[] get(String key) throws Exception {
        try (var in = files.open(path(key))) {
            return in.readAllBytes();
        }
    }

    @Override
    byte[] range(String key, int first, int last) throws Exception {
        var wanted = new byte[last - first + 1];
        try (var in = files.open(path(key))) {
            in.readFully(first, wanted);
        }
        return wanted;
    }

    @Override
    List<String> list(String prefix) throws Exception {
        List<String> found = new ArrayList<>();
        try {
            RemoteIterator<LocatedFileStatus> all = files.listFiles(path(prefix), true);
            while (all.hasNext()) found.add(all.next().getPath().toUri().getPath().substring(1));
        } catch (FileNotFoundException gone) {
            return List.of();
        }
        return found;
    }

    /** A file that is renamed is copied on the server, and then deleted. */
    @Override
    void copy(String source, String target) throws Exception {
        put(source + "-named", get(source));
        if (!files.rename(path(source + "-named"), path(target))) throw new AssertionError("not renamed");
    }

    /** The folder that they are in, in one request a page. */
    @Override
    void delete(List<String> keys) throws Exception {
        if (!files.delete(path(keys.get(0)).getParent(), true)) throw new AssertionError("not deleted");
    }

    @Override
    byte[] fetchLink(String key) throws Exception {
        throw new Lacks("a file system makes no links");
    }

    public static void main(String[] arguments) throws Exception {
        new S3a().main();
    }
}
