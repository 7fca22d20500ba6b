import { join } from 'node:path'

/** The project's folder, or its mirror in dist-test/ when the tests run. */
export const root = join(import.meta.dirname, '..', '..')

/** Path of a file in test/fixtures. */
export const fixture = (name: string) => join(root, 'test', 'fixtures', name)
