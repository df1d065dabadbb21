/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Go's path.Match: 1 match, 0 none, -EINVAL for a malformed pattern. */
int go_match(const char *pattern, const char *name);
