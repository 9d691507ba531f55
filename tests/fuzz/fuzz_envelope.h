/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What fuzz_envelope.c and make_corpus.c agree on.  The first byte of an input says what the rest
 * is: 0 an envelope, time does not count; 1 an envelope, opened at FUZZ_NOW; 2 + n the record of
 * kind n. */
#ifndef TESTS_FUZZ_ENVELOPE_H
#define TESTS_FUZZ_ENVELOPE_H

#define FUZZ_OPEN 0
#define FUZZ_OPEN_NOW 1
#define FUZZ_RECORD 2

/* A key for this purpose only: client:fuzz and site:fuzz both sign with it. */
#define FUZZ_NAME "fuzz"
#define FUZZ_SECRET "ed25519-secret:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
#define FUZZ_PUBLIC "ed25519:A6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg="
#define FUZZ_NOW 4102444800000u /* 2100: later than any seed was made */

#endif
