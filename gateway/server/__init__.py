"""HTTP in, HTTP out: the pipeline, the API, the pages."""
