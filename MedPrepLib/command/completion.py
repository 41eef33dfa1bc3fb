"""``medprep completion``: what makes a shell complete words of ``medprep`` on Tab."""

from __future__ import annotations

import click

VARIABLE = "_MEDPREP_COMPLETE"
PLACES = {
    "bash": "echo 'eval \"$(medprep completion bash)\"' >> ~/.bashrc",
    "zsh": "echo 'eval \"$(medprep completion zsh)\"' >> ~/.zshrc",
    "fish": "medprep completion fish > ~/.config/fish/completions/medprep.fish",
}


@click.command()
@click.argument("shell", type=click.Choice(list(PLACES)))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    r"""Print what makes SHELL complete commands and options of medprep on Tab.

    \b
    For good, in new shells:
      bash  echo 'eval "$(medprep completion bash)"' >> ~/.bashrc
      zsh   echo 'eval "$(medprep completion zsh)"' >> ~/.zshrc
      fish  medprep completion fish > ~/.config/fish/completions/medprep.fish
    """
    from click.shell_completion import get_completion_class

    program = context.find_root()
    maker = get_completion_class(shell)
    if maker is None:
        raise click.UsageError(f"click cannot complete words in {shell}")
    script = maker(program.command, {}, "medprep", VARIABLE)
    click.echo(
        f"# Completion of medprep for {shell}. For good, in new shells:\n#   {PLACES[shell]}"
    )
    click.echo(script.source_template % script.source_vars())
