# PowerShell completion for sam. Made by `sam completion powershell`; run it from your $PROFILE.

Register-ArgumentCompleter -Native -CommandName sam, samcli -ScriptBlock {
    param($wordToComplete, $commandAst, $cursorPosition)
    $Env:_SAM_COMPLETE = "complete_powershell"
    $Env:_TYPER_COMPLETE_ARGS = $commandAst.ToString()
    $Env:_TYPER_COMPLETE_WORD_TO_COMPLETE = $wordToComplete
    & $commandAst.CommandElements[0].ToString() 2>$null | ForEach-Object {
        $value, $help = $_ -split ":::", 2
        if (-not $help.Trim()) { $help = $value }
        [System.Management.Automation.CompletionResult]::new($value, $value, "ParameterValue", $help)
    }
    Remove-Item Env:_SAM_COMPLETE, Env:_TYPER_COMPLETE_ARGS, Env:_TYPER_COMPLETE_WORD_TO_COMPLETE
}
