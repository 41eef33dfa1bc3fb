#!/bin/sh
# find_python.sh 3.12: prints an interpreter of that version that can make environments; fails
# quietly when there is none.
for candidate in "/usr/bin/python$1" "python$1" python3 "$HOME"/.pyenv/versions/"$1".*/bin/python; do
  if "$candidate" -c "import ensurepip, sys, venv
sys.exit('%d.%d' % sys.version_info[:2] != '$1')" >/dev/null 2>&1; then
    printf '%s\n' "$candidate"
    exit 0
  fi
done
exit 1
