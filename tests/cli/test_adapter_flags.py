from sfumato.cli.adapter_flags import PANEL
from sfumato.cli.flags import OPTIONS, Flags


def test_the_option_is_one_of_every_command_that_draws():
    assert "lora" in OPTIONS
    assert Flags().lora == ()
    assert PANEL == "What to draw"
