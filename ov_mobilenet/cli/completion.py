"""`completion`: the shell completion script, from click's own generator."""

from __future__ import annotations

import click

SHELLS = ("bash", "zsh", "fish")


@click.command("completion")
@click.argument("shell", type=click.Choice(SHELLS))
@click.pass_context
def completion_command(context: click.Context, shell: str) -> None:
    """Print the completion script for a SHELL: bash (4.4 or newer), zsh or fish.

    Run one of these lines to install the script for the current user, then open a new shell.

    \b
    Examples:
      ov-mobilenet completion bash > ~/.local/share/bash-completion/completions/ov-mobilenet
      echo 'eval "$(ov-mobilenet completion zsh)"' >> ~/.zshrc
      ov-mobilenet completion fish > ~/.config/fish/completions/ov-mobilenet.fish

    In bash without the package bash-completion, add this line to ~/.bashrc: eval "$(ov-mobilenet completion bash)".
    The script calls ov-mobilenet, which must be on the PATH.
    """
    from click.shell_completion import get_completion_class

    generator = get_completion_class(shell)
    assert generator is not None, "click completes all of SHELLS"
    program = "ov-mobilenet"
    variable = f"_{program}_COMPLETE".replace("-", "_").upper()
    click.echo(generator(context.find_root().command, {}, program, variable).source())
