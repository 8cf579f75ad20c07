"""``python -m deerflow.cli``: our commands without loading the Flask app, so that they can tell what hinders it."""

import click

from deerflow.cli import db, serve


@click.group()
def main() -> None:
    """DeerFlow on Celery: run LangGraph agents yourself."""


main.add_command(db.group)
main.add_command(serve.command)

if __name__ == "__main__":
    main(prog_name="deerflow")
