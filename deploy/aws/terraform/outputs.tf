output "region" {
  description = "The first of the five values that `gateway init` asks for."
  value       = data.aws_region.current.name
}

output "user_pool_id" {
  value = aws_cognito_user_pool.this.id
}

output "client_id" {
  value = aws_cognito_user_pool_client.this.id
}

output "client_secret" {
  description = "terraform output -raw client_secret; it is in the state too, which is then a secret."
  value       = aws_cognito_user_pool_client.this.client_secret
  sensitive   = true
}

output "bucket" {
  value = var.bucket_name
}

output "identity_pool_id" {
  description = "For gateway.yaml: credentials: {storage: {type: cognito_identity, identity_pool_id: …}}"
  value       = one(aws_cognito_identity_pool.this[*].id)
}
