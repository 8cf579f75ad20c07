"""Secrets and policy, without Flask: passwords, API keys, signatures, rate limits."""
