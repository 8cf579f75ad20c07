"""``python -m deerflow.cli``: our commands without loading the Flask app, so that they can tell what hinders it."""

import click

from deerflow.cli import db, doctor, serve, webhooks


@click.group()
def main() -> None:
    """DeerFlow on Celery: run LangGraph agents yourself."""


for _command in (db.group, doctor.command, serve.command, webhooks.group):
    main.add_command(_command)

if __name__ == "__main__":
    main(prog_name="deerflow")
