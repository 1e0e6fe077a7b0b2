const variables = ['CI', 'GITHUB_ACTIONS', 'GITLAB_CI', 'BUILDKITE', 'CIRCLECI', 'JENKINS_URL']

/** Whether an environment is that of a CI job, where members are ephemeral and nothing listens on TCP (03 §3). */
export function isCi(env: Readonly<Record<string, string | undefined>>): boolean {
  return variables.some((name) => isSetVariable(env[name]))
}

/** Whether a variable says yes: `CI=false` is how one says no. */
export function isSetVariable(value: string | undefined): boolean {
  return value !== undefined && value !== '' && value !== 'false'
}
