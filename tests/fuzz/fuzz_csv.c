/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Whatever is uploaded as CSV becomes a bounded list of objects and texts, or is refused with 422.
 */
#include "base/mem.h"
#include "fuzz.h"
#include "producer/requests/csv.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct csv *csv = nv_alloc(sizeof *csv);
	struct nv_err err = {0};
	size_t i;
	json_t *row;

	if (nv_csv_read((const char *)data, size, csv, &err) < 0) {
		FUZZ_CHECK(err.kind == NV_REJECT && err.code == 422 && err.msg[0]);
	} else {
		FUZZ_CHECK(json_array_size(csv->requests) <= CSV_ROWS_MAX);
		json_array_foreach(csv->requests, i, row)
		{
			FUZZ_CHECK(json_is_object(row) || json_is_string(row));
			FUZZ_CHECK(csv->lines[i] >= 1 && (!i || csv->lines[i] > csv->lines[i - 1]));
		}
	}
	json_decref(csv->requests);
	free(csv);
	return 0;
}
