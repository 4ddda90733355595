// aws-sdk-go-v2, driven as _operations.py drives the Python clients; a JSON line an operation.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand"
	"net/http"
	"net/url"
	"os"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/feature/s3/manager"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

const (
	large = 20 * 1024 * 1024 // bytes
	page  = 3                // keys a page of a list
)

var (
	ctx     = context.Background()
	bucket  = aws.String(os.Getenv("MATRIX_BUCKET"))
	prefix  = os.Getenv("MATRIX_PREFIX")
	client  *s3.Client
	data    = make([]byte, large)
	listed  []string
	awkward = []string{
		"with space + plus.txt",
		"ü/日本語 😀.txt",
		"percent %41 %2F %.txt",
		"quotes ' \" & < > #.txt",
		"a;b,c=d@e~f*(g)!$.txt",
	}
)

type result struct {
	Operation string `json:"operation"`
	Passed    bool   `json:"passed"`
	Note      string `json:"note"`
}

func same(got, sent []byte) error {
	if !bytes.Equal(got, sent) {
		return fmt.Errorf("%d bytes came back of %d", len(got), len(sent))
	}
	return nil
}

func expect(found, wanted []string) error {
	slices.Sort(found)
	if sorted := slices.Sorted(slices.Values(wanted)); !slices.Equal(found, sorted) {
		return fmt.Errorf("listed %q", found)
	}
	return nil
}

func put(key string, body []byte) error {
	_, err := client.PutObject(ctx, &s3.PutObjectInput{Bucket: bucket, Key: &key, Body: bytes.NewReader(body)})
	return err
}

func get(key string, part *string) ([]byte, error) {
	answer, err := client.GetObject(ctx, &s3.GetObjectInput{Bucket: bucket, Key: &key, Range: part})
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	return io.ReadAll(answer.Body)
}

func reads(key string, part *string, sent []byte) error {
	got, err := get(key, part)
	if err != nil {
		return err
	}
	return same(got, sent)
}

func roundTrip(key string, body []byte) error {
	if err := put(key, body); err != nil {
		return err
	}
	return reads(key, nil, body)
}

func lists(below string, wanted []string) error {
	found := []string{}
	pages := s3.NewListObjectsV2Paginator(client, &s3.ListObjectsV2Input{
		Bucket: bucket, Prefix: aws.String(below), MaxKeys: aws.Int32(page),
	})
	for pages.HasMorePages() {
		one, err := pages.NextPage(ctx)
		if err != nil {
			return err
		}
		for _, object := range one.Contents {
			found = append(found, *object.Key)
		}
	}
	return expect(found, wanted)
}

// A stream that cannot be rewound, in parts.
func writeLarge() error {
	key := prefix + "large"
	body := struct{ io.Reader }{bytes.NewReader(data)}
	_, err := manager.NewUploader(client).Upload(ctx, &s3.PutObjectInput{Bucket: bucket, Key: &key, Body: body})
	return err
}

func readRange() error {
	for _, one := range [][2]int{{0, 0}, {1000000, 1000999}, {large - 10, large - 1}} {
		part := fmt.Sprintf("bytes=%d-%d", one[0], one[1])
		if err := reads(prefix+"large", &part, data[one[0]:one[1]+1]); err != nil {
			return err
		}
	}
	return nil
}

func listPages() error {
	for _, key := range listed {
		if err := put(key, []byte("listed")); err != nil {
			return err
		}
	}
	return lists(prefix+"list/", listed)
}

func copied() error {
	source := url.PathEscape(*bucket + "/" + prefix + "byte")
	key := prefix + "copied"
	_, err := client.CopyObject(ctx, &s3.CopyObjectInput{Bucket: bucket, Key: &key, CopySource: &source})
	if err != nil {
		return err
	}
	return reads(key, nil, []byte("x"))
}

func awkwardKeys() error {
	keys := []string{}
	for _, name := range awkward {
		key := prefix + "awkward/" + name
		keys = append(keys, key)
		if err := roundTrip(key, []byte(key)); err != nil {
			return err
		}
	}
	return lists(prefix+"awkward/", keys)
}

func presign() error {
	key := prefix + "byte"
	link, err := s3.NewPresignClient(client).PresignGetObject(ctx, &s3.GetObjectInput{Bucket: bucket, Key: &key})
	if err != nil {
		return err
	}
	answer, err := http.Get(link.URL)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	got, err := io.ReadAll(answer.Body)
	if err != nil {
		return err
	}
	return same(got, []byte("x"))
}

func deleteMany() error {
	wanted := []types.ObjectIdentifier{}
	for _, key := range listed {
		wanted = append(wanted, types.ObjectIdentifier{Key: &key})
	}
	answer, err := client.DeleteObjects(ctx, &s3.DeleteObjectsInput{Bucket: bucket, Delete: &types.Delete{Objects: wanted}})
	if err != nil {
		return err
	}
	if len(answer.Errors) > 0 {
		return fmt.Errorf("not deleted: %s", *answer.Errors[0].Message)
	}
	return lists(prefix+"list/", nil)
}

func main() {
	settings, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		panic(err)
	}
	client = s3.NewFromConfig(settings, func(o *s3.Options) { o.UsePathStyle = true })
	rand.New(rand.NewSource(large)).Read(data)
	for number := range 7 {
		listed = append(listed, fmt.Sprintf("%slist/%02d", prefix, number))
	}
	out := json.NewEncoder(os.Stdout)
	for _, one := range []struct {
		name  string
		check func() error
	}{
		{"write_empty", func() error { return roundTrip(prefix+"empty", nil) }},
		{"write_byte", func() error { return roundTrip(prefix+"byte", []byte("x")) }},
		{"write_large", writeLarge},
		{"read_whole", func() error { return reads(prefix+"large", nil, data) }},
		{"read_range", readRange},
		{"list_pages", listPages},
		{"copy", copied},
		{"awkward_keys", awkwardKeys},
		{"presign", presign},
		{"delete_many", deleteMany},
	} {
		note := ""
		err := one.check()
		if err != nil {
			note = err.Error()
		}
		if err := out.Encode(result{one.name, err == nil, note}); err != nil {
			panic(err)
		}
	}
}
