import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import software.amazon.awssdk.core.sync.RequestBody;
import software.amazon.awssdk.services.s3.S3AsyncClient;
import software.amazon.awssdk.services.s3.S3Client;
import software.amazon.awssdk.services.s3.S3Configuration;
import software.amazon.awssdk.services.s3.model.Delete;
import software.amazon.awssdk.services.s3.model.ObjectIdentifier;
import software.amazon.awssdk.services.s3.model.S3Object;
import software.amazon.awssdk.services.s3.presigner.S3Presigner;

/** The AWS SDK for Java 2: chunks signed one by one over HTTP, a trailer over TLS; files in parts by its async client. */
final class AwsSdk extends Matrix {
    private S3Client s3;
    private S3AsyncClient parts;
    private S3Presigner links;

    @Override
    void open() {
        s3 = S3Client.builder().forcePathStyle(true).build();
        parts = S3AsyncClient.builder().forcePathStyle(true).multipartEnabled(true).build();
        var pathStyle = S3Configuration.builder().pathStyleAccessEnabled(true).build();
        links = S3Presigner.builder().serviceConfiguration(pathStyle).build();
    }

    @Override
    void put(String key, byte[] data) {
        s3.putObject(r -> r.bucket(BUCKET).key(key), RequestBody.fromBytes(data));
    }

    @Override
    void putFile(String key, Path file) {
        parts.putObject(r -> r.bucket(BUCKET).key(key), file).join();
    }

    @Override
    byte[] get(String key) {
        return s3.getObjectAsBytes(r -> r.bucket(BUCKET).key(key)).asByteArray();
    }

    @Override
    byte[] range(String key, int first, int last) {
        return s3.getObjectAsBytes(r -> r.bucket(BUCKET).key(key).range("bytes=" + first + "-" + last)).asByteArray();
    }

    @Override
    List<String> list(String prefix) {
        var pages = s3.listObjectsV2Paginator(r -> r.bucket(BUCKET).prefix(prefix).maxKeys(PAGE));
        return pages.contents().stream().map(S3Object::key).toList();
    }

    @Override
    void copy(String source, String target) {
        s3.copyObject(r -> r.sourceBucket(BUCKET).sourceKey(source).destinationBucket(BUCKET).destinationKey(target));
    }

    @Override
    void delete(List<String> keys) {
        var wanted = keys.stream().map(key -> ObjectIdentifier.builder().key(key).build()).toList();
        var answer = s3.deleteObjects(r -> r.bucket(BUCKET).delete(Delete.builder().objects(wanted).build()));
        if (answer.hasErrors()) throw new AssertionError(answer.errors().toString());
    }

    @Override
    byte[] fetchLink(String key) throws Exception {
        var link = links.presignGetObject(
            p -> p.signatureDuration(Duration.ofMinutes(10)).getObjectRequest(r -> r.bucket(BUCKET).key(key)));
        try (var answer = link.url().openStream()) {
            return answer.readAllBytes();
        }
    }

    public static void main(String[] arguments) throws Exception {
        new AwsSdk().main();
    }
}
