import { createRequire } from 'node:module'
import { join } from 'node:path'
import type { Test } from 'tap'
import { provideNpmPackages } from './npm-packages.ts'

/** What reads the OpenAPI document, with the TypeScript that the generators want, which is not the project's. */
const versions = {
  '@hey-api/openapi-ts': '0.95.0',
  '@redocly/cli': '2.77.0',
  '@seriousme/openapi-schema-validator': '2.11.0',
  'openapi-fetch': '0.17.0',
  'openapi-typescript': '7.13.0',
  typescript: '5.9.3'
}

/** The program that a package has by a name. */
const programs = {
  'openapi-ts': '@hey-api/openapi-ts/bin/run.js',
  'openapi-typescript': 'openapi-typescript/bin/cli.js',
  redocly: '@redocly/cli/bin/cli.js',
  tsc: 'typescript/bin/tsc',
  'validate-api': '@seriousme/openapi-schema-validator/bin/validate-api-cli.js',
  node: null
}

export interface ApiGenerators {
  /** An empty folder in which the packages are found. The test's end removes it. */
  folder: string
  /** Runs one of the programs in the folder, and gives what it wrote. Throws with that where it fails. */
  run: (program: keyof typeof programs, ...args: string[]) => Promise<string>
}

export async function provideApiGenerators (t: Test): Promise<ApiGenerators> {
  const { folder, run } = await provideNpmPackages(t, 'api-generators', versions)
  return { folder, run: (program, ...args) => run(programs[program], ...args) }
}

const { resolve } = createRequire(import.meta.url)

/** A tsconfig.json: strict, and for a program that Node runs as it comes out, into the folder `js`. */
export const strictConfiguration = (include: string[], rootDir: string): string => JSON.stringify({
  compilerOptions: {
    strict: true,
    module: 'commonjs',
    moduleResolution: 'node10',
    target: 'es2022',
    lib: ['es2023', 'dom', 'dom.iterable'],
    types: ['node'],
    typeRoots: [join(resolve('@types/node/package.json'), '..', '..')],
    outDir: 'js',
    rootDir
  },
  include
})
