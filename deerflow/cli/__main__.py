"""``python -m deerflow.cli``: our commands without loading the Flask app, so that they can tell what hinders it."""

import click

from deerflow.cli import commands


@click.group()
def main() -> None:
    """DeerFlow on Celery: run LangGraph agents yourself."""


for _command in commands():
    main.add_command(_command)

if __name__ == "__main__":
    main(prog_name="deerflow")
