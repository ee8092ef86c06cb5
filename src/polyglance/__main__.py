from polyglance.cli import main

main()
