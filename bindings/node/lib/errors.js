/** What every call of this package rejects with. `code` is the engine's kind, stable and never translated. */
export class DevopserError extends Error {
  constructor(message, report, options) {
    super(message, options);
    this.name = 'DevopserError';
    this.code = report.kind ?? 'unexpected';
    this.provider = report.provider ?? null;
    this.operation = report.operation ?? null;
    this.remedy = report.remedy ?? null;
    this.context = Object.fromEntries(report.context ?? []);
  }
}

/** The error behind what the native half rejected with. */
export const errorFrom = (error) => {
  let report;
  try {
    report = JSON.parse(error.message);
  } catch {
    return new DevopserError(error.message, {}, { cause: error });
  }
  const message = report.remedy ? `${report.message}. ${report.remedy}` : report.message;
  return new DevopserError(message, report, { cause: error });
};
