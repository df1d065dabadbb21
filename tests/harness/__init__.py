# SPDX-License-Identifier: Apache-2.0
"""What the tests that drive a running daemon share: daemons on private roots, images made from
Debian's packages, clients, and the check that nothing stays behind."""
