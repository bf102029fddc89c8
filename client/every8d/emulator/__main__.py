"""`python -m every8d.emulator`: the emulator as a process of its own."""

from every8d.emulator.command import emulator

if __name__ == "__main__":
    emulator(prog_name="every8d emulator")
