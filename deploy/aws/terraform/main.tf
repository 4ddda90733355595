# Sign-in for the S3 gateway: a Cognito user pool with its domain and app client, a first user,
# and, if wanted, an identity pool with the role that gives each person credentials of their own.
# The same as ../cloudformation.yaml.

data "aws_partition" "current" {}

data "aws_region" "current" {}

locals {
  bucket_arn = "arn:${data.aws_partition.current.partition}:s3:::${var.bucket_name}"
}

resource "aws_cognito_user_pool" "this" {
  name                     = "s3-auth-gateway"
  username_attributes      = ["email"]
  auto_verified_attributes = ["email"]
  deletion_protection      = "ACTIVE"

  admin_create_user_config {
    allow_admin_create_user_only = true # nobody lets themselves in
  }

  username_configuration {
    case_sensitive = false
  }

  account_recovery_setting {
    recovery_mechanism {
      name     = "verified_email"
      priority = 1
    }
  }
}

resource "aws_cognito_user_pool_domain" "this" {
  domain       = var.domain_prefix
  user_pool_id = aws_cognito_user_pool.this.id
}

resource "aws_cognito_user_pool_client" "this" {
  name                                 = "s3-auth-gateway"
  user_pool_id                         = aws_cognito_user_pool.this.id
  generate_secret                      = true
  callback_urls                        = ["${var.public_url}/api/session/auth/"]
  logout_urls                          = ["${var.public_url}/ui/signed-out"]
  allowed_oauth_flows_user_pool_client = true
  allowed_oauth_flows                  = ["code"]
  allowed_oauth_scopes                 = ["openid", "email", "profile"]
  supported_identity_providers         = ["COGNITO"]
  explicit_auth_flows                  = ["ALLOW_REFRESH_TOKEN_AUTH"]
  prevent_user_existence_errors        = "ENABLED"
  enable_token_revocation              = true
}

resource "aws_cognito_user" "first" {
  count = var.first_user_email == "" ? 0 : 1

  user_pool_id             = aws_cognito_user_pool.this.id
  username                 = var.first_user_email
  desired_delivery_mediums = ["EMAIL"]

  attributes = {
    email          = var.first_user_email
    email_verified = "true"
  }
}

resource "aws_cognito_identity_pool" "this" {
  count = var.with_identity_pool ? 1 : 0

  identity_pool_name               = "s3-auth-gateway"
  allow_unauthenticated_identities = false

  cognito_identity_providers {
    provider_name           = aws_cognito_user_pool.this.endpoint
    client_id               = aws_cognito_user_pool_client.this.id
    server_side_token_check = true # whoever was signed out everywhere gets nothing
  }
}

data "aws_iam_policy_document" "trust" {
  count = var.with_identity_pool ? 1 : 0

  statement {
    effect  = "Allow"
    actions = ["sts:AssumeRoleWithWebIdentity", "sts:TagSession"]

    principals {
      type        = "Federated"
      identifiers = ["cognito-identity.amazonaws.com"]
    }

    condition {
      test     = "StringEquals"
      variable = "cognito-identity.amazonaws.com:aud"
      values   = [aws_cognito_identity_pool.this[0].id]
    }

    condition {
      test     = "ForAnyValue:StringLike"
      variable = "cognito-identity.amazonaws.com:amr"
      values   = ["authenticated"]
    }
  }
}

data "aws_iam_policy_document" "objects" {
  count = var.with_identity_pool ? 1 : 0

  statement {
    effect    = "Allow"
    actions   = ["s3:ListBucket", "s3:GetBucketLocation", "s3:ListBucketMultipartUploads"]
    resources = [local.bucket_arn]
  }

  statement {
    effect    = "Allow"
    actions   = ["s3:GetObject"]
    resources = ["${local.bucket_arn}/*"]
  }

  statement {
    effect = "Allow"
    actions = [
      "s3:PutObject",
      "s3:DeleteObject",
      "s3:AbortMultipartUpload",
      "s3:ListMultipartUploadParts",
    ]
    # The tag is the subject of the sign-in, which policies of the gateway call claims.sub.
    resources = ["${local.bucket_arn}/users/$${aws:PrincipalTag/username}/*"]
  }
}

resource "aws_iam_role" "personal" {
  count = var.with_identity_pool ? 1 : 0

  name_prefix        = "s3-auth-gateway-"
  description        = "What people who sign in at the S3 gateway may do by themselves"
  assume_role_policy = data.aws_iam_policy_document.trust[0].json
}

resource "aws_iam_role_policy" "objects" {
  count = var.with_identity_pool ? 1 : 0

  name   = "objects"
  role   = aws_iam_role.personal[0].id
  policy = data.aws_iam_policy_document.objects[0].json
}

resource "aws_cognito_identity_pool_provider_principal_tag" "this" {
  count = var.with_identity_pool ? 1 : 0

  identity_pool_id       = aws_cognito_identity_pool.this[0].id
  identity_provider_name = aws_cognito_user_pool.this.endpoint
  use_defaults           = false

  principal_tags = {
    username = "sub"
    client   = "aud"
  }
}

resource "aws_cognito_identity_pool_roles_attachment" "this" {
  count = var.with_identity_pool ? 1 : 0

  identity_pool_id = aws_cognito_identity_pool.this[0].id

  roles = {
    authenticated = aws_iam_role.personal[0].arn
  }
}
