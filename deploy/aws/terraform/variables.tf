variable "public_url" {
  description = "Where browsers reach the gateway, without a slash at the end."
  type        = string

  validation {
    condition     = can(regex("^(https://[^/]+|http://localhost(:[0-9]+)?)$", var.public_url))
    error_message = "https://HOST, or http://localhost:PORT for trying out."
  }
}

variable "bucket_name" {
  description = "The bucket that people are to see."
  type        = string
}

variable "domain_prefix" {
  description = "First part of the sign-in page's host name; nobody else in the region may have it."
  type        = string
}

variable "first_user_email" {
  description = "Invited by e-mail; empty for nobody."
  type        = string
  default     = ""
}

variable "with_identity_pool" {
  description = "Whether S3 is to be asked with each person's own credentials."
  type        = bool
  default     = false
}
