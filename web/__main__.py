"""`python -m web` is `every8d web`: how `every8d up` starts it, whatever the path of the scripts."""

import sys

from every8d.command import main

if __name__ == "__main__":
    main(["web", *sys.argv[1:]])
