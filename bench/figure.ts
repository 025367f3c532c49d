import { appendFileSync, mkdirSync } from 'node:fs';

/** One measured figure. `ratio` is value over reference, both from this run on this machine. */
export interface Figure {
  readonly figure: string;
  readonly value: number;
  readonly unit: string;
  readonly against?: string;
  readonly reference?: number;
  readonly ratio?: number;
  readonly aim?: string;
  readonly met?: boolean;
}

const significant = (value: number): number => Number(value.toPrecision(4));

/**
 * A figure with its reference, a limit or a peer. Compare the ratio between machines, not the value.
 * @param to.ratio the median of pairwise ratios; default value over reference.
 */
export function compared(
  figure: string,
  value: number,
  unit: string,
  to: { readonly against: string; readonly reference: number; readonly ratio?: number },
  aim?: { readonly text: string; readonly isMet: (ratio: number) => boolean },
): Figure {
  const ratio = to.ratio ?? value / to.reference;
  return {
    figure,
    value: significant(value),
    unit,
    against: to.against,
    reference: significant(to.reference),
    ratio: Number(ratio.toFixed(3)),
    ...(aim ? { aim: aim.text, met: aim.isMet(ratio) } : {}),
  };
}

export function absolute(
  figure: string,
  value: number,
  unit: string,
  aim?: { readonly text: string; readonly isMet: (value: number) => boolean },
): Figure {
  return { figure, value: significant(value), unit, ...(aim ? { aim: aim.text, met: aim.isMet(value) } : {}) };
}

/** The value below which `share` of the samples lie (nearest rank). @param share 0 to 1. */
export function quantile(samples: readonly number[], share: number): number {
  const sorted = samples.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.max(0, Math.ceil(share * sorted.length) - 1))] ?? Number.NaN;
}

const cell = (value: string | number | boolean | undefined): string => (value === undefined ? '' : String(value));

/** Prints figures as a table and appends each as a JSON line to bench/results/<bench>.jsonl. */
export function report(bench: string, figures: readonly Figure[]): void {
  mkdirSync('bench/results', { recursive: true });
  for (const figure of figures) appendFileSync(`bench/results/${bench}.jsonl`, `${JSON.stringify(figure)}\n`);
  const rows = [
    ['figure', 'value', 'unit', 'against', 'reference', 'ratio', 'aim', 'met'],
    ...figures.map((f) =>
      [
        f.figure,
        f.value,
        f.unit,
        f.against,
        f.reference,
        f.ratio,
        f.aim,
        f.met === undefined ? '' : f.met ? 'yes' : 'NO',
      ].map(cell),
    ),
  ];
  const widths = rows[0]?.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0))) ?? [];
  for (const row of rows) {
    process.stdout.write(
      `${row
        .map((text, column) => text.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd()}\n`,
    );
  }
}
