/** The environment of this process without what belongs to the test run or to npm's own run. */
export function outerEnvironment (): NodeJS.ProcessEnv
