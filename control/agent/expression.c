/* SPDX-License-Identifier: BSD-3-Clause */
#include "expression.h"
#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NODES_MAX 64
#define DEPTH_MAX 16
#define WINDOW_S 10

enum operation {
	NUMBER,
	SERVERS,
	ADD,
	SUBTRACT,
	MULTIPLY,
	DIVIDE,
	OR,
	SUM,
	AVG,
	MAX,
	MIN,
	COUNT,
	RATE,
	TOTAL
};

struct node {
	enum operation operation;
	double number;
	unsigned left, right; /* nodes; left: the series of a function */
};

struct expression {
	struct node node[NODES_MAX];
	unsigned nodes, root;
	struct series *series;
	unsigned serieses;
};

struct parser {
	struct expression *expression;
	const char *text, *at;
	const struct expression_select *select;
	unsigned selects, depth;
	char *error;
};

static const struct {
	const char *name;
	enum operation operation;
} function[] = {{"sum", SUM},	  {"avg", AVG},	  {"max", MAX},	   {"min", MIN},
		{"count", COUNT}, {"rate", RATE}, {"total", TOTAL}};

#define FUNCTIONS (sizeof(function) / sizeof(*function))

static int fail(struct parser *parser, const char *expected)
{
	snprintf(parser->error, 160, "expected %s at '%.40s'", expected,
		 *parser->at ? parser->at : "the end");
	return -EINVAL;
}

static void blanks(struct parser *parser)
{
	while (isspace((unsigned char)*parser->at))
		parser->at++;
}

static bool eat(struct parser *parser, char c)
{
	blanks(parser);
	if (*parser->at != c)
		return false;
	parser->at++;
	return true;
}

static size_t word_bytes(const char *at)
{
	size_t bytes = 0;

	/* dots: the names that we give to what is inside a JSON document */
	while (isalnum((unsigned char)at[bytes]) || (at[bytes] && strchr("_:.", at[bytes])))
		bytes++;
	return bytes;
}

static bool word_is(const char *at, size_t bytes, const char *word)
{
	return strlen(word) == bytes && memcmp(at, word, bytes) == 0;
}

static int add_node(struct parser *parser, struct node node)
{
	struct expression *expression = parser->expression;

	if (expression->nodes == NODES_MAX)
		return fail(parser, "something shorter");
	expression->node[expression->nodes] = node;
	return (int)expression->nodes++;
}

static int add_label(struct parser *parser, struct series *series, const char *name,
		     size_t name_bytes, const char *value, size_t value_bytes)
{
	if (series->labels == SERIES_LABELS_MAX)
		return fail(parser, "fewer labels");
	series->label[series->labels].name = strndup(name, name_bytes);
	series->label[series->labels].value = strndup(value, value_bytes);
	series->labels++; /* cleared with the rest, whatever strndup said */
	if (!series->label[series->labels - 1].name || !series->label[series->labels - 1].value)
		return -ENOMEM;
	return 0;
}

static int parse_selector(struct parser *parser, struct series *series)
{
	do {
		const char *name, *value;
		size_t bytes;
		int err;

		blanks(parser);
		name = parser->at;
		bytes = word_bytes(name);
		if (!bytes)
			return fail(parser, "a label's name");
		parser->at += bytes;
		if (!eat(parser, '=') || !eat(parser, '"'))
			return fail(parser, "=\"VALUE\"");
		value = parser->at;
		parser->at += strcspn(value, "\"");
		if (!*parser->at)
			return fail(parser, "a closing \"");
		err = add_label(parser, series, name, bytes, value, (size_t)(parser->at - value));
		if (err < 0)
			return err;
		parser->at++;
	} while (eat(parser, ','));
	return eat(parser, '}') ? 0 : fail(parser, "}");
}

static int parse_series(struct parser *parser, enum operation operation)
{
	struct expression *expression = parser->expression;
	struct series *series;
	size_t bytes;
	int err = 0;

	blanks(parser);
	bytes = word_bytes(parser->at);
	if (!bytes || bytes >= SERIES_NAME_MAX || isdigit((unsigned char)*parser->at))
		return fail(parser, "a series");
	series = reallocarray(expression->series, expression->serieses + 1, sizeof(*series));
	if (!series)
		return -ENOMEM;
	expression->series = series;
	series += expression->serieses++;
	*series = (struct series){.counter = operation == RATE || operation == TOTAL};
	memcpy(series->name, parser->at, bytes);
	parser->at += bytes;
	for (unsigned i = 0; i < parser->selects && !err; i++)
		err = add_label(parser, series, parser->select[i].label,
				strlen(parser->select[i].label), parser->select[i].value,
				strlen(parser->select[i].value));
	if (!err && eat(parser, '{'))
		err = parse_selector(parser, series);
	return err ? err
		   : add_node(parser, (struct node){.operation = operation,
						    .left = expression->serieses - 1});
}

static int parse_or(struct parser *parser);

static int parse_parenthesis(struct parser *parser)
{
	int inner;

	if (++parser->depth > DEPTH_MAX)
		return fail(parser, "fewer parentheses");
	inner = parse_or(parser);
	parser->depth--;
	if (inner >= 0 && !eat(parser, ')'))
		return fail(parser, ")");
	return inner;
}

static int parse_function(struct parser *parser, enum operation operation)
{
	int inner = parse_series(parser, operation);

	return inner >= 0 && !eat(parser, ')') ? fail(parser, ")") : inner;
}

static int parse_term(struct parser *parser)
{
	size_t bytes;
	const char *at;

	if (eat(parser, '('))
		return parse_parenthesis(parser);
	at = parser->at;
	if (isdigit((unsigned char)*at) || *at == '.') {
		char *end;
		double number = strtod(at, &end);

		if (end == at)
			return fail(parser, "a number");
		parser->at = end;
		return add_node(parser, (struct node){.operation = NUMBER, .number = number});
	}
	bytes = word_bytes(at);
	for (unsigned i = 0; i < FUNCTIONS; i++) {
		if (!word_is(at, bytes, function[i].name))
			continue;
		parser->at += bytes;
		if (!eat(parser, '('))
			return fail(parser, "(");
		return parse_function(parser, function[i].operation);
	}
	if (word_is(at, bytes, "servers")) {
		parser->at += bytes;
		return add_node(parser, (struct node){.operation = SERVERS});
	}
	return parse_series(parser, SUM);
}

/* Left to right: `next (op next)*`. */
static int parse_chain(struct parser *parser, int (*next)(struct parser *), const char *operators,
		       const enum operation *operation)
{
	int left = next(parser);

	while (left >= 0) {
		const char *found;
		int right;

		blanks(parser);
		found = *parser->at ? strchr(operators, *parser->at) : NULL;
		if (!found)
			break;
		parser->at++;
		right = next(parser);
		if (right < 0)
			return right;
		left = add_node(parser, (struct node){.operation = operation[found - operators],
						      .left = (unsigned)left,
						      .right = (unsigned)right});
	}
	return left;
}

static int parse_product(struct parser *parser)
{
	return parse_chain(parser, parse_term, "*/", (enum operation[]){MULTIPLY, DIVIDE});
}

static int parse_sum(struct parser *parser)
{
	return parse_chain(parser, parse_product, "+-", (enum operation[]){ADD, SUBTRACT});
}

static int parse_or(struct parser *parser)
{
	int left = parse_sum(parser);

	while (left >= 0) {
		int right;

		blanks(parser);
		if (!word_is(parser->at, word_bytes(parser->at), "or"))
			break;
		parser->at += 2;
		right = parse_sum(parser);
		if (right < 0)
			return right;
		left = add_node(parser, (struct node){.operation = OR,
						      .left = (unsigned)left,
						      .right = (unsigned)right});
	}
	return left;
}

int expression_parse(struct expression **out, const char *text,
		     const struct expression_select *select, unsigned selects, char error[160])
{
	struct parser parser = {
		.text = text, .at = text, .select = select, .selects = selects, .error = error};
	int root;

	snprintf(error, 160, "out of memory");
	parser.expression = calloc(1, sizeof(*parser.expression));
	if (!parser.expression)
		return -ENOMEM;
	root = parse_or(&parser);
	blanks(&parser);
	if (root >= 0 && *parser.at)
		root = fail(&parser, "+ - * / or, or the end,");
	if (root < 0) {
		expression_free(parser.expression);
		return root;
	}
	parser.expression->root = (unsigned)root;
	*out = parser.expression;
	return 0;
}

void expression_free(struct expression *expression)
{
	if (!expression)
		return;
	for (unsigned i = 0; i < expression->serieses; i++)
		series_clear(&expression->series[i]);
	free(expression->series);
	free(expression);
}

void expression_begin(struct expression *expression)
{
	for (unsigned i = 0; i < expression->serieses; i++)
		series_begin(&expression->series[i]);
}

void expression_take(struct expression *expression, const struct exposition_sample *sample)
{
	for (unsigned i = 0; i < expression->serieses; i++)
		series_take(&expression->series[i], sample);
}

void expression_end(struct expression *expression, double now_s)
{
	for (unsigned i = 0; i < expression->serieses; i++)
		series_end(&expression->series[i], now_s);
}

static double series_value(const struct series *series, enum operation operation)
{
	if (series->count == 0)
		return NAN;
	switch (operation) {
	case AVG:
		return series->sum / series->count;
	case MAX:
		return series->max;
	case MIN:
		return series->min;
	case COUNT:
		return series->count;
	case RATE:
		return series_rate(series, WINDOW_S);
	case TOTAL:
		return series->total;
	default:
		return series->sum;
	}
}

static double value_of(const struct expression *expression, unsigned at, double servers)
{
	const struct node *node = &expression->node[at];
	double left, right;

	if (node->operation == NUMBER)
		return node->number;
	if (node->operation == SERVERS)
		return servers;
	if (node->operation >= SUM)
		return series_value(&expression->series[node->left], node->operation);
	left = value_of(expression, node->left, servers);
	right = value_of(expression, node->right, servers);
	switch (node->operation) {
	case ADD:
		return left + right;
	case SUBTRACT:
		return left - right;
	case MULTIPLY:
		return left * right;
	case DIVIDE:
		return right != 0 ? left / right : NAN;
	default:
		return isnan(left) ? right : left;
	}
}

double expression_value(const struct expression *expression, double servers)
{
	double value = value_of(expression, expression->root, servers);

	return isfinite(value) ? value : NAN;
}

void expression_events(const struct expression *expression, struct series_events *sum)
{
	for (unsigned i = 0; i < expression->serieses; i++) {
		sum->resets += expression->series[i].events.resets;
		sum->changes += expression->series[i].events.changes;
		sum->strange += expression->series[i].events.strange;
		sum->twice += expression->series[i].events.twice;
	}
}
