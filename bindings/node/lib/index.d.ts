/** A line that proves a fact. */
export interface Evidence {
  path: string;
  line?: number | null;
  [key: string]: unknown;
}

/** What `detect` found; `null` where there is no answer. */
export interface Stack {
  runtime: string | null;
  version: string | null;
  framework: string | null;
  packageManager: string | null;
  installCommand: string | null;
  buildCommand: string | null;
  startCommand: string | null;
  /** Brings the tables of its database up to date, before each start. */
  releaseCommand: string | null;
  /** Asked whether it is well, where its authors name another path than `/`. */
  healthPath: string | null;
  /** Where it keeps its data: folders relative to its root, or absolute in its image. */
  dataFolders: string[] | null;
  port: number | null;
  /** Handed over as `PORT` where nothing names a port. */
  assumedPort: number | null;
  databases: string[] | null;
  static: boolean | null;
  outputDir: string | null;
  services: string[] | null;
  hasDockerfile: boolean;
  hasCompose: boolean;
  /** 0 to 100. */
  confidence: number;
  /** 0 to 100, by field. */
  confidences: Record<string, number>;
  evidence: Record<string, Evidence[]>;
  /** The front end that builds the pages of a program of another language. */
  pages?: {
    root: string;
    framework: string | null;
    packageManager: string | null;
    buildCommand: string | null;
    outputs: string[];
  };
  notChosen?: Record<string, unknown>[];
  serviceAnswers?: Record<string, unknown>[];
  findings?: Record<string, unknown>[];
  warnings?: string[];
}

/** The files that `generate` wrote; nothing is put on disk. */
export interface Generated {
  dockerfile: string;
  ownDockerfile: string | null;
  dockerignore: string;
  compose: string;
  port: number;
}

/** What every call of this package rejects with. */
export class DevopserError extends Error {
  /** The engine's kind: stable and never translated. */
  readonly code: string;
  readonly provider: string | null;
  readonly operation: string | null;
  readonly remedy: string | null;
  readonly context: Record<string, string>;
}

export const version: string;

/** Tells what the folder holds. It reads files and runs nothing. */
export function detect(path: string | URL): Promise<Stack>;
/** The same in words: what was found, what proves it, and why other stacks were not chosen. */
export function explain(path: string | URL): Promise<string>;
/** The Dockerfile, the compose file and the `.dockerignore` for the folder. */
export function generate(path: string | URL): Promise<Generated>;
