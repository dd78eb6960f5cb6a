"""`python -m samcli` is `sam`."""

try:
    from samcli_launcher import main  # a wheel puts the launcher beside the package
except ModuleNotFoundError:
    from samcli.launcher import main  # a source tree holds it inside

if __name__ == "__main__":
    main()
