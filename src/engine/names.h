/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Names of containers: the rule, and made-up ones (adjective_surname, as Docker's). */
#include <stdbool.h>

/* [a-zA-Z0-9][a-zA-Z0-9_.-]+ */
bool container_name_is_valid(const char *name);
/* A name for the attempt-th try; after some tries a digit is added. Owned by the caller. */
char *container_name_random(unsigned attempt);
