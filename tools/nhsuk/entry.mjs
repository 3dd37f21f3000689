// The few behaviours of nhsuk-frontend that Lenitive's pages use, bundled into one small file.
export {
  Button,
  CharacterCount,
  Checkboxes,
  ErrorSummary,
  PasswordInput,
  Radios,
  SkipLink,
  Tabs,
  createAll,
} from "nhsuk-frontend";
