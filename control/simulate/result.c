/* SPDX-License-Identifier: BSD-3-Clause */
#include "result.h"
#include <math.h>

#define LEAST_S 1e-6

/* 64 bins an octave, equal within it. */
void result_add(struct result *result, double time_s)
{
	int octave;
	double part = frexp(fmax(time_s, LEAST_S) / LEAST_S, &octave); /* 1/2 <= part < 1 */
	int bin = (octave - 1) * 64 + (int)((part - 0.5) * 128);

	result->requests++;
	result->sum_s += time_s;
	result->bin[bin < RESULT_BINS ? bin : RESULT_BINS - 1]++;
}

double result_mean_s(const struct result *result)
{
	return result->requests ? result->sum_s / (double)result->requests : NAN;
}

double result_quantile_s(const struct result *result, double quantile)
{
	double wanted = quantile * (double)result->requests, sum = 0;

	for (int bin = 0; bin < RESULT_BINS; bin++) {
		double count = (double)result->bin[bin];
		if (count > 0 && sum + count >= wanted) {
			double within = (wanted - sum) / count;
			return LEAST_S * ldexp(0.5 + (bin % 64 + within) / 128, bin / 64 + 1);
		}
		sum += count;
	}
	return NAN;
}

double result_churn(const struct result *result)
{
	return result->churn_weight > 0 ? result->churn / result->churn_weight : 0;
}

void result_table_head(FILE *out)
{
	fprintf(out, "%-14s %-20s %9s %9s %7s %7s %9s %9s %9s %7s %8s %9s %6s\n", "SCENARIO",
		"POLICY", "INTERVAL", "MEAN", "PATH", "WAIT", "P50", "P99", "P99.9", "CHURN",
		"AGAIN", "REQUESTS", "LOAD");
	fprintf(out, "%-14s %-20s %9s %9s %7s %7s %9s %9s %9s %7s %8s %9s %6s\n", "", "", "ms",
		"ms", "ms", "ms", "ms", "ms", "ms", "/s", "", "", "");
}

void result_table_row(FILE *out, const struct result *result)
{
	fprintf(out,
		"%-14s %-20s %9.0f %9.2f %7.2f %7.2f %9.2f %9.1f %9.1f %7.3f %8lu %9lu %6.2f\n",
		result->scenario, result->policy, 1e3 * result->interval_s,
		1e3 * result_mean_s(result), 1e3 * result->path_s / (double)result->requests,
		1e3 * (result->sum_s - result->path_s - result->work_s) / (double)result->requests,
		1e3 * result_quantile_s(result, 0.5), 1e3 * result_quantile_s(result, 0.99),
		1e3 * result_quantile_s(result, 0.999), result_churn(result),
		(unsigned long)result->again, (unsigned long)result->requests, result->utilisation);
}

/* JSON knows no NaN: of no requests there is no mean. */
static void json_ms(FILE *out, const char *name, double time_s)
{
	if (isfinite(time_s))
		fprintf(out, "\"%s\": %.4f, ", name, 1e3 * time_s);
	else
		fprintf(out, "\"%s\": null, ", name);
}

void result_json(FILE *out, const struct result *result, const char *indent)
{
	fprintf(out, "%s{\"scenario\": \"%s\", \"policy\": \"%s\", \"interval_ms\": %g, ", indent,
		result->scenario, result->policy, 1e3 * result->interval_s);
	json_ms(out, "mean_ms", result_mean_s(result));
	json_ms(out, "p50_ms", result_quantile_s(result, 0.5));
	json_ms(out, "p99_ms", result_quantile_s(result, 0.99));
	json_ms(out, "p999_ms", result_quantile_s(result, 0.999));
	fprintf(out,
		"\"churn_per_s\": %.5f, \"again\": %lu, \"requests\": %lu, \"unanswered\": %lu, "
		"\"utilisation\": %.4f}",
		result_churn(result), (unsigned long)result->again, (unsigned long)result->requests,
		(unsigned long)result->unanswered, result->utilisation);
}
