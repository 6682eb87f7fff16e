"""Fuzzers of everything that is read from outside: files, folders, names, answers of servers.

A hunt takes a sound specimen, damages one file of it in a way that Hypothesis picks, and reads
it. The reader must return in time, with a refusal of one printable line, or with a value that is
legitimate: where a digest vouches for the content, that of the sound specimen and no other.
Nothing may be left behind, and nothing may be written, started or connected to elsewhere.

In the suite, examples are few and always the same. ``make fuzz`` goes on for as long as one likes.
"""
