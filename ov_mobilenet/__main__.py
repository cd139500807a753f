"""`python -m ov_mobilenet`."""

from ov_mobilenet.cli.main import run

if __name__ == "__main__":
    run()
