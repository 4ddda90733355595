"""The clients: one row each. What a client is asked to do stands in its program."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = Path(__file__).parent / "programs"
FOLDER = ROOT / "build" / "clients"


@dataclass(frozen=True, kw_only=True)
class Client:
    """Where a client comes from and which program drives it."""

    name: str
    program: str
    """A file of `programs/`."""
    pip: tuple[str, ...] = ()
    """What is installed into its own environment; empty for what is not from PyPI."""
    npm: tuple[str, ...] = ()
    maven: str = ""
    """The artifact whose version is the client's; what is installed says the file beside the program."""
    go: str = ""
    """The module whose version is the client's; `program` is the folder of a module that requires it."""
    debian: str = ""
    """The Debian package whose program it is."""
    command: str = ""
    """The program of that package; with its folder where another of that name may come first."""
    device: str = ""
    """What the program opens that not every machine has."""
    version: tuple[str, ...] = ()
    """Command that prints the version, for those that are not from PyPI or npm."""
    quick: tuple[tuple[str, str], ...] = ()
    """Credentials and transport of the short run among the tests."""
    environment: tuple[tuple[str, str], ...] = ()

    @property
    def folder(self) -> Path:
        return FOLDER / self.name.replace(" ", "-")

    @property
    def missing(self) -> str | None:
        """Why it cannot run here, for what this program does not install itself."""
        if self.debian and shutil.which(self.command) is None:
            return f"not installed (Debian: {self.debian})"
        if self.device and not os.access(self.device, os.R_OK | os.W_OK):
            return f"no {self.device} here"
        if self.npm and shutil.which("npm") is None:
            return "not installed (Debian: npm)"
        if self.go and shutil.which("go") is None:
            return "not installed (Debian: golang-go)"
        if self.maven and (shutil.which("mvn") is None or shutil.which("javac") is None):
            return "not installed (Debian: maven default-jdk-headless)"
        return None


PLAIN = (("personal", "http"),)
BOTH = (*PLAIN, ("temporary", "https"))

CLIENTS: tuple[Client, ...] = (
    Client(name="boto3", program="boto3_sdk.py", pip=("boto3",), quick=BOTH),
    Client(name="boto3 1.35", program="boto3_sdk.py", pip=("boto3==1.35.99",)),
    Client(name="aws cli", program="aws_cli.py", pip=("awscli",), quick=PLAIN),
    Client(
        name="aws cli 2",
        program="aws_cli.py",
        debian="awscli",
        command="/usr/bin/aws",
        version=("/usr/bin/aws", "--version"),
    ),
    Client(
        name="curl",
        program="curl.py",
        debian="curl",
        command="curl",
        version=("curl", "--version"),
        quick=BOTH,
    ),
    Client(
        name="s3cmd",
        program="s3cmd.py",
        debian="s3cmd",
        command="s3cmd",
        version=("s3cmd", "--version"),
        quick=PLAIN,
    ),
    Client(
        name="rclone",
        program="rclone.py",
        debian="rclone",
        command="rclone",
        version=("rclone", "version"),
        quick=BOTH,
    ),
    Client(
        name="restic",
        program="restic.py",
        debian="restic",
        command="restic",
        version=("restic", "version"),
        quick=PLAIN,
    ),
    Client(name="minio-py", program="minio_py.py", pip=("minio",), quick=BOTH),
    Client(name="pyarrow", program="pyarrow_cpp.py", pip=("pyarrow",)),
    Client(name="obstore", program="obstore_rs.py", pip=("obstore",)),
    Client(
        name="polars",
        program="polars_df.py",
        pip=("polars",),
        environment=(("AWS_ALLOW_HTTP", "true"),),
    ),
    Client(
        name="DuckDB",
        program="duckdb_sql.py",
        pip=("duckdb==1.4.4", "duckdb-ext-httpfs==1.4.4.20260205"),
    ),
    Client(name="deltalake", program="delta.py", pip=("deltalake", "pyarrow")),
    Client(name="s3fs", program="s3fs_py.py", pip=("s3fs",)),
    Client(
        name="aws-sdk-js",
        program="aws_sdk_js.mjs",
        npm=("@aws-sdk/client-s3", "@aws-sdk/s3-request-presigner", "@aws-sdk/lib-storage"),
    ),
    Client(name="aws-sdk-go", program="go", go="github.com/aws/aws-sdk-go-v2/service/s3"),
    Client(name="aws-sdk-java", program="java/AwsSdk.java", maven="s3"),
    Client(name="Hadoop S3A", program="java/S3a.java", maven="hadoop-aws"),
    Client(
        name="s3fs-fuse",
        program="s3fs_fuse.py",
        debian="s3fs",
        command="s3fs",
        device="/dev/fuse",
        version=("s3fs", "--version"),
    ),
)
