"""Secrets and policy, without Flask: passwords, API keys, one-time links, rate limits, what handlers are asked."""
