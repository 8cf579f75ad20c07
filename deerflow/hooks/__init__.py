"""Webhooks at arm's length: where one may go, how it is signed, how it is sent."""
