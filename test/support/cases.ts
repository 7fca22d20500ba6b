/**
 * All cases in .ci/run, which says ALL_CASES=1; in `npm test` the first of each `oneOf`, so that it stays short where
 * cases differ little.
 */
export const cases = <Case>(all: readonly Case[], oneOf: number): readonly Case[] =>
  process.env.ALL_CASES === '1' ? all : all.filter((_, index) => index % oneOf === 0)
