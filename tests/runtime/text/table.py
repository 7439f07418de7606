"""Prints a table of C++ for runtime/text, its cells in lines of at most 118 columns."""


def print_table(kind, name, cells):
    print(f"constexpr {kind} {name}[] = {{")
    line = " "
    for cell in cells:
        if len(line) + 1 + len(cell) > 118:
            print(line)
            line = " "
        line += " " + cell
    print(line + "\n};")
